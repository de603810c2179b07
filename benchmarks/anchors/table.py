"""The results beside the published numbers, as Markdown: the tasks that lose most first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.anchors.cells import AnchorRow
from benchmarks.anchors.published import PUBLISHED
from benchmarks.report.markdown import show, show_places, table
from benchmarks.study.cells import select_rows
from benchmarks.study.statistics import Spread, mean_and_error, paired_difference, summarize
from benchmarks.study.study import Study

__all__ = ["INTRODUCTION", "lost", "write_page"]

INTRODUCTION = """Does one run of `AdaptiveDropout()` find what a search or a publication found? Each line is one way to
use dropout on one task: the published rate, none, the default callback, and `RewindController`, its old default, from
the published rate ("adaptive") and from .1 on, in the same network and training. Means over seeds, in brackets the
standard error, of the weights with the lowest validation loss; "last" has those at the end of the training, which for a
callback are the same. "Worse by" is the difference to the published rate, trained by us with the same seeds, in the
units of the measure; above 0 the line is worse. The standard error in its brackets is that of the pairs. The task on
which the default callback is worse by most of these errors stands first, and in each task the worst line. "Ended at" is
the mean p of each layer, in the network's order, "best at" the number of the validation with the lowest loss. Minutes
are those of one core and one run."""

_HEADER = ("method", "seeds", "score", "last", "worse by", "ended at", "rewinds", "best at", "minutes")
_PUBLISHED, _CALLBACK = "published", "default"

Found = Mapping[str, Sequence[AnchorRow]]


def write_page(studies: Sequence[Study], rows: Sequence[AnchorRow], folder: Path) -> None:
    """Write ``table.md`` into ``folder``: a section for each task of the studies."""
    found, missing = _gather(studies, rows)
    order = sorted(found, key=lambda task: -_in_errors(lost(task, found[task], _CALLBACK)))
    parts = [INTRODUCTION, *(_section(task, found[task]) for task in order)]
    parts += [f"Not run: {', '.join(missing)}."] if missing else []
    (folder / "table.md").write_text("\n\n".join(["# Published results", *parts, show_places(rows)]) + "\n")


def lost(task: str, found: Found, method: str) -> Spread | None:
    """Return by how much ``method`` is worse than the published rate with the same seeds; None without pairs."""
    sign = 1 if PUBLISHED[task].lower_is_better else -1
    return paired_difference(found.get(method, ()), found.get(_PUBLISHED, ()), lambda row: sign * row.score)


def _in_errors(difference: Spread | None) -> float:
    if difference is None:
        return float("-inf")
    mean, error = difference
    return mean / error if error > 0 else mean


def _gather(studies: Sequence[Study], rows: Sequence[AnchorRow]) -> tuple[dict[str, Found], list[str]]:
    found: dict[str, Found] = {}
    missing = []
    for study in studies:
        there = select_rows(study, rows)
        for task in study.tasks:
            of_task = {name: lines for (its, name), lines in there.items() if its == task.name}
            if of_task:
                found[task.name] = of_task
            for method in study.methods:
                left = len(study.seeds) - len(of_task.get(method.name, ()))
                if of_task and left:
                    missing.append(f"{task.name} {method.name} ({left} of {len(study.seeds)} seeds)")
            missing += [] if of_task else [task.name]
    return found, missing


def _section(task: str, found: Found) -> str:
    published = PUBLISHED[task]
    better = "lower" if published.lower_is_better else "higher"
    measured = f"Published: **{published.score}** ({published.measure}; {better} is better). {published.source}."
    order = sorted(found, key=lambda method: _rank(task, found, method))
    lines = "\n".join(table(_HEADER, (_line(task, method, found) for method in order)))
    return "\n\n".join([f"## {task}", measured, lines, f"Different here: {published.differs}."])


def _rank(task: str, found: Found, method: str) -> float:
    sign = 1 if PUBLISHED[task].lower_is_better else -1
    return -sign * summarize(found[method], lambda row: row.score)[0]


def _line(task: str, method: str, found: Found) -> list[str]:
    rows, digits = found[method], PUBLISHED[task].digits
    difference = None if method == _PUBLISHED else lost(task, found, method)
    layers = zip(*(row.rates for row in rows), strict=True)
    return [
        method,
        str(len(rows)),
        show(summarize(rows, lambda row: row.score), digits),
        show(summarize(rows, lambda row: row.last_score), digits),
        "" if difference is None else show(difference, digits, "+"),
        ", ".join(f"{mean_and_error(rates)[0]:.2f}" for rates in layers),
        f"{summarize(rows, lambda row: row.rewinds)[0]:.1f}",
        f"{summarize(rows, lambda row: row.best_at)[0]:.0f}",
        f"{summarize(rows, lambda row: row.seconds)[0] / 60:.1f}",
    ]
