"""The rows, and the results as Markdown: steered rates against the grid, the worst first, then all means.

Differences are of pairs of the same seed, to the choice of a grid search.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report.markdown import table
from benchmarks.study.cells import CellRow, select_rows
from benchmarks.study.statistics import mean_and_error
from benchmarks.study.study import Study

__all__ = ["Gap", "Row", "average", "find_gaps", "lines", "write_page"]


@dataclass(frozen=True)
class Row(CellRow):
    """One training run.

    Args:
        val_loss: the lowest validation loss.
        test_loss: the test loss of the model that had it; nats, or squared error for numbers to predict.
        trivial_loss: of the best constant prediction, on the training data.
        final_rate: p at the end.
        rewinds: how often the run went back to its best, or to its beginning.
    """

    val_loss: float
    test_loss: float
    trivial_loss: float
    final_rate: float
    rewinds: int


Rows = Mapping[tuple[str, str], Sequence[Row]]

HEAD = """Written by `python -m benchmarks.beyond`. Every run trains as many steps, validates 50 times and is tested
at its lowest validation loss, so all of them, those without dropout too, stop early. Losses are nats, for `factors`
squared errors (least possible 0.25). The reference of a seed is the fixed rate, none included, with the lowest
validation loss of that seed: what a grid search would choose. Differences are test losses, mean and standard error
over seeds; above 0 is worse; **bold** where it is worse by more than two standard errors, or where there is one seed
and it is worse. `factors` are made up, for want of ratings; `patches` are scikit-learn's digits."""

CLOSED = """With and without noise: the same model with dropout, and with the penalty that dropout comes to on average.
For `logistic` that is an approximation of second order, for `factors` it is exact."""

PENALTY = "-penalty"


@dataclass(frozen=True)
class Gap:
    """The test loss of a method on a task, minus that of the reference.

    Args:
        task: its name.
        method: its name.
        mean: over seeds; above 0 is worse.
        error: standard error of ``mean``; NaN for one seed.
        seeds: how many pairs there are.
        chosen: the p of the reference of each seed.
        final: the last p of the method of each seed.
        seconds: process time over the mean of the grid's.
    """

    task: str
    method: str
    mean: float
    error: float
    seeds: int
    chosen: tuple[float, ...]
    final: tuple[float, ...]
    seconds: float

    @property
    def is_worse(self) -> bool:
        """Whether it is worse by more than two standard errors, or at all where there is no error."""
        return self.mean > (0.0 if math.isnan(self.error) else 2 * self.error)


def find_gaps(found: Rows) -> list[Gap]:
    """Return how no dropout and each steered rate compare, for each task.

    A seed counts where the whole grid of the study and the method have been trained.
    """
    tasks, methods = (list(dict.fromkeys(key[part] for key in found)) for part in (0, 1))
    fixed = [
        method
        for method in methods
        if all(_is_fixed(row) for (_, m), rows in found.items() if m == method for row in rows)
    ]
    compared = [method for method in methods if method not in fixed or method == "none"]
    given = (_gap(found, task, method, fixed) for task in tasks for method in compared if (task, method) in found)
    return [gap for gap in given if gap]


def average(found: Rows) -> dict[tuple[str, str], float]:
    """Return the mean test loss of each task and method."""
    return {key: sum(row.test_loss for row in rows) / len(rows) for key, rows in found.items()}


def _gap(found: Rows, task: str, method: str, fixed: Sequence[str]) -> Gap | None:
    pairs = []
    for row in found[task, method]:
        grid = [other for name in fixed for other in found.get((task, name), ()) if other.seed == row.seed]
        if len(grid) == len(fixed):
            pairs.append((row, min(grid, key=lambda other: other.val_loss), sum(r.seconds for r in grid) / len(grid)))
    if not pairs:
        return None
    mean, error = mean_and_error([row.test_loss - reference.test_loss for row, reference, _ in pairs])
    return Gap(
        task,
        method,
        mean,
        error,
        len(pairs),
        chosen=tuple(reference.final_rate for _, reference, _ in pairs),
        final=tuple(row.final_rate for row, _, _ in pairs),
        seconds=sum(row.seconds for row, _, _ in pairs) / sum(seconds for *_, seconds in pairs),
    )


def _is_fixed(row: Row) -> bool:
    return json.loads(row.method_settings)["kind"] in ("none", "fixed")


def write_page(studies: Sequence[Study], rows: Sequence[Row], folder: Path) -> None:
    """Write ``table.md`` into ``folder``."""
    (folder / "table.md").write_text("\n".join(lines(studies, rows)) + "\n")


def lines(studies: Sequence[Study], rows: Sequence[Row]) -> Iterator[str]:
    """Yield the tables of every study, line by line."""
    yield from ("# Dropout beyond dense networks", "", *HEAD.splitlines())
    for study in studies:
        found = select_rows(study, rows)
        yield from _section(f"{study.name}: against the grid", _against_the_grid(find_gaps(found)))
        yield from _section(f"{study.name}: mean test losses", _losses(study, found))
        yield from _section(f"{study.name}: noise and its closed form", _closed(average(found)))
    yield from ("", "Measured on:", "")
    for place in dict.fromkeys((row.machine, row.versions, row.commit) for row in rows):
        yield f"- {'; '.join(place)}"


def _section(title: str, body: Iterator[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "", *body)


def _against_the_grid(found: Sequence[Gap]) -> Iterator[str]:
    body = []
    for gap in sorted(found, key=lambda gap: (not gap.is_worse, -gap.mean)):
        shown = f"**{gap.mean:+.4f}**" if gap.is_worse else f"{gap.mean:+.4f}"
        chosen, final = " ".join(f"{p:g}" for p in gap.chosen), " ".join(f"{p:.2f}" for p in gap.final)
        numbers = [shown, f"{gap.error:.4f}", str(gap.seeds), chosen, final, f"{gap.seconds:.2f}"]
        body.append([gap.task, gap.method, *numbers])
    names = ("difference", "standard error", "seeds", "reference's p, by seed", "final p", "times as long")
    yield from table(("task", "method", *names), body)


def _losses(study: Study, found: Rows) -> Iterator[str]:
    names, means, body = [method.name for method in study.methods], average(found), []
    for task in study.tasks:
        there = [row for (name, _), rows in found.items() if name == task.name for row in rows]
        if there:
            trivial = sum(row.trivial_loss for row in there) / len(there)
            cells = (f"{means[task.name, name]:.4f}" if (task.name, name) in means else "" for name in names)
            body.append([task.name, f"{trivial:.4f}", *cells])
    yield from table(["task", "constant prediction", *names], body)


def _closed(means: Mapping[tuple[str, str], float]) -> Iterator[str]:
    yield from (*CLOSED.splitlines(), "")
    both = [(task, method) for task, method in means if (task + PENALTY, method) in means]
    body = []
    for task, method in sorted(both, key=lambda key: -abs(means[key[0] + PENALTY, key[1]] - means[key])):
        noise, closed = means[task, method], means[task + PENALTY, method]
        body.append([task, method, f"{noise:.4f}", f"{closed:.4f}", f"{closed - noise:+.4f}"])
    yield from table(("task", "method", "noise", "closed form", "difference"), body)
