"""How the results are shown: NLL by place and p, what validation would choose, and both as curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import SIZE, finish, legend_below, looks
from benchmarks.placement.sweeps import Sweep, chosen, none_of, sweeps
from benchmarks.study.study import Study
from benchmarks.supervised.compare import paired, summarised
from benchmarks.supervised.markdown import Rows, left_out, markdown, shown
from benchmarks.supervised.publish import Page
from benchmarks.supervised.training import TrainedRow

__all__ = ["CUSTOMARY", "PAGE", "sweeps_figure"]

CUSTOMARY = (0.2, 0.5)
"""The rates that textbooks recommend."""

_INTRODUCTION = """Dropout after one part of the network, the others at p = 0, or after all; test NLL in nats per
example, means over seeds, in brackets the standard error, of the weights with the lowest validation loss. The chosen p
has the lowest mean validation loss; its difference from no dropout is of pairs of the same seed, below 0 is better."""


def _tables(study: Study, rows: Rows) -> str:
    sections = []
    for task in study.tasks:
        found = {name: there for (where, name), there in rows.items() if where == task.name}
        if by_place := sweeps(study, found):
            lines = [*_choices(by_place, none_of(study, found)), "", *_losses(by_place), *left_out(study, found)]
            sections.append("\n".join([f"### {study.name}: {task.name}\n", *lines]))
    return "\n\n".join(sections)


def _choices(by_place: Mapping[str, Sweep], none: Sequence[TrainedRow]) -> list[str]:
    body = []
    for place, sweep in by_place.items():
        p = chosen(sweep)
        against = paired(sweep[p], none, lambda row: row.test_loss)
        accuracy = shown(summarised(sweep[p], lambda row: 100 * row.test_accuracy), 2)
        loss = shown(summarised(sweep[p], lambda row: row.test_loss), 4)
        body.append([place, f"{p:g}", accuracy, loss, "not run" if against is None else shown(against, 4, "+")])
    return list(markdown(("dropout after", "chosen p", "accuracy, %", "NLL", "NLL minus none's"), body))


def _losses(by_place: Mapping[str, Sweep]) -> list[str]:
    rates = sorted({p for sweep in by_place.values() for p in sweep})
    body = [[place, *(_loss(sweep, p) for p in rates)] for place, sweep in by_place.items()]
    return list(markdown(["NLL at p", *(f"{p:g}" for p in rates)], body))


def _loss(sweep: Sweep, p: float) -> str:
    return f"{summarised(sweep[p], lambda row: row.test_loss)[0]:.4f}" if p in sweep else ""


def sweeps_figure(study: Study, methods: Mapping[str, Sequence[TrainedRow]], title: str) -> dict[str, Figure]:
    """Return test NLL and test error over p, a line a place, with standard errors; none without a sweep."""
    by_place = sweeps(study, methods)
    if not by_place:
        return {}
    figure = Figure(figsize=(1.7 * SIZE[0], 1.2 * SIZE[1]), layout="constrained")
    left, right = figure.subplots(1, 2)
    _curves(left, by_place, lambda row: row.test_loss)
    _curves(right, by_place, lambda row: 100 * (1 - row.test_accuracy))
    left.set(ylabel="test NLL, nats", yscale="log")
    right.set(ylabel="test error, %", yscale="log")
    figure.suptitle(title)
    legend_below(figure, left)
    return {"sweeps": figure}


def _curves(axes: Axes, by_place: Mapping[str, Sweep], value: Callable[[TrainedRow], float]) -> None:
    axes.axvspan(*CUSTOMARY, color="0.92", label="customary")
    for (place, sweep), look in zip(by_place.items(), looks(), strict=False):
        spreads = [summarised(rows, value) for rows in sweep.values()]
        errors = [0.0 if math.isnan(error) else error for _, error in spreads]
        axes.errorbar(list(sweep), [mean for mean, _ in spreads], errors, label=place, capsize=2, **look)
    axes.set_xlabel("drop probability p")
    finish(axes)


PAGE = Page("placement", "Where dropout belongs, and how much of it", _INTRODUCTION, _tables, sweeps_figure)
"""The page of this question."""
