"""The results beside the published grid search, as Markdown: misses first, then every split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report.markdown import show_places, table
from benchmarks.study.cells import select_rows
from benchmarks.study.statistics import summarize
from benchmarks.study.study import Study
from benchmarks.uci.cells import UciRow

__all__ = ["PUBLISHED", "Published", "write_page", "write_section"]


@dataclass(frozen=True)
class Published:
    """Means over the splits and their standard errors.

    Args:
        splits: how many.
        rmse: of the mean of samples, in the units of the file: `test_MC_rmse`.
        rmse_error: its standard error.
        ll: log-likelihood in nats per row: `test_ll`.
        ll_error: its standard error.
    """

    splits: int
    rmse: float
    rmse_error: float
    ll: float
    ll_error: float


PUBLISHED = {
    "boston": Published(20, 2.903623, 0.176840, -2.401936, 0.041702),
    "energy": Published(20, 0.538867, 0.013524, -1.211517, 0.005319),
    "naval": Published(20, 0.000743, 0.000046, 4.449543, 0.002160),
    "power": Published(20, 4.014226, 0.036771, -2.807789, 0.008626),
    "protein": Published(5, 4.274228, 0.020866, -2.871297, 0.001492),
    "wine": Published(20, 0.621809, 0.007974, -0.928090, 0.012738),
    "yacht": Published(20, 0.666275, 0.048602, -1.250148, 0.015297),
}
"""By the name of the set."""


INTRODUCTION = """Means over the authors' splits, in brackets the standard error. RMSE is that of the mean of samples
with dropout on, in the units of the data; LL is the log-likelihood in nats per row, whose noise is fitted to
predictions of the validation rows. "Published" is the authors' grid search over dropout rate and precision, trained
once more on all training rows; ours leaves some of them out to validate. "se above" is how many published standard
errors the RMSE is above the published one: up to 1 is a hit. Tested are the weights with the lowest validation loss,
dropout off, at the rates that they were validated with. p is that before and that after the hidden layer."""


def write_page(studies: Sequence[Study], rows: Sequence[UciRow], folder: Path) -> None:
    """Write ``table.md`` into ``folder``: a section for each method, over the sets of all studies."""
    methods = dict.fromkeys(method.name for study in studies for method in study.methods)
    sections = [
        write_section(method, _find_rows(studies, rows, method), _list_missing(studies, rows, method))
        for method in methods
    ]
    text = "\n\n".join([INTRODUCTION, *sections, show_places(rows)])
    (folder / "table.md").write_text(f"# MC dropout on the UCI regression sets\n\n{text}\n")


def write_section(method: str, found: Mapping[str, Sequence[UciRow]], missing: Sequence[str]) -> str:
    """Return what ``method`` reached: a table of the sets, worst first, and the RMSE of each split.

    Args:
        method: its name.
        found: its rows by the name of the set.
        missing: what was not run, in words.
    """
    parts = [f"## {method}"]
    if found:
        order = sorted(found, key=lambda name: -above(name, found[name]))
        hits = [name for name in order if above(name, found[name]) <= 1]
        whole = sum(len(rows) == PUBLISHED[name].splits for name, rows in found.items())
        parts += [
            f"{_HIT}: {len(hits)} of {len(found)} sets; {whole} of the {len(found)} ran on all splits.",
            "\n".join(table(_HEADER, (_line(name, found[name]) for name in order))),
            "RMSE by split:",
            "\n".join(f"- {name}: {_splits(found[name])}" for name in order),
        ]
    if missing:
        parts.append(f"Not run: {', '.join(missing)}.")
    return "\n\n".join(parts)


def _find_rows(studies: Sequence[Study], rows: Sequence[UciRow], method: str) -> dict[str, list[UciRow]]:
    """Return the rows of a method by set; where two studies have a set, those of the one with more splits."""
    found: dict[str, list[UciRow]] = {}
    for study in studies:
        for (task, name), there in select_rows(study, rows).items():
            if name == method and len(there) > len(found.get(task, [])):
                found[task] = there
    return found


def _list_missing(studies: Sequence[Study], rows: Sequence[UciRow], method: str) -> list[str]:
    missing = []
    for study in studies:
        if method in [each.name for each in study.methods]:
            there = select_rows(study, rows)
            short = {task.name: len(study.seeds) - len(there.get((task.name, method), [])) for task in study.tasks}
            missing += [f"{name} ({count} of {len(study.seeds)} splits)" for name, count in short.items() if count]
    return missing


def above(name: str, rows: Sequence[UciRow]) -> float:
    """Return how many published standard errors the mean RMSE of ``rows`` lies above the published one."""
    published = PUBLISHED[name]
    return (summarize(rows, lambda row: row.test_rmse)[0] - published.rmse) / published.rmse_error


_HIT = "Within one standard error of the published RMSE, or better"
_RMSE = ("RMSE", "published RMSE", "se above", "RMSE, dropout off")
_HEADER = ("set", "splits", *_RMSE, "LL", "published LL", "p", "rewinds", "seconds")


def _line(name: str, rows: Sequence[UciRow]) -> list[str]:
    published = PUBLISHED[name]
    rates = [summarize(rows, value)[0] for value in (lambda row: row.input_rate, lambda row: row.hidden_rate)]
    return [
        name,
        f"{len(rows)} of {published.splits}",
        _show(summarize(rows, lambda row: row.test_rmse)),
        _show((published.rmse, published.rmse_error)),
        f"{above(name, rows):+.2f}",
        _show(summarize(rows, lambda row: row.test_rmse_off)),
        _show(summarize(rows, lambda row: row.test_ll)),
        _show((published.ll, published.ll_error)),
        ", ".join(f"{p:.3f}" for p in rates),
        f"{summarize(rows, lambda row: row.rewinds)[0]:.1f}",
        f"{summarize(rows, lambda row: row.seconds)[0]:.0f}",
    ]


def _splits(rows: Sequence[UciRow]) -> str:
    return ", ".join(f"{row.seed}: {row.test_rmse:.3g}" for row in sorted(rows, key=lambda row: row.seed))


def _show(spread: tuple[float, float]) -> str:
    mean, error = spread
    return f"{mean:.4g}" + ("" if math.isnan(error) else f" ({error:.2g})")
