"""Dropout at chosen places of a CNN, and how the results are shown: NLL by place and p, as tables and curves."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import SIZE, finish, legend_below, looks
from benchmarks.placement.places import ALL, PlacedRow, after, each, train_placed
from benchmarks.placement.rules import RULES
from benchmarks.placement.rules_table import has_rules, rules_table
from benchmarks.report.markdown import show, table
from benchmarks.report.page import Page, Rows, by_method, list_missing, write_page
from benchmarks.study.command import Experiment
from benchmarks.study.statistics import paired_difference, summarize
from benchmarks.study.study import Kinds, Study
from benchmarks.supervised.image_task import IMAGE_TASKS
from benchmarks.supervised.method import none
from benchmarks.supervised.training import TrainedRow

__all__ = ["ALL", "CUSTOMARY", "METHODS", "PAGE", "PLACEMENT", "TASKS", "choose", "find_sweeps", "sweeps_figure"]

METHODS: Kinds = {"none": none, "after": after, "each": each, **RULES}
"""Every kind of method by its name."""


TASKS: Kinds = {name: IMAGE_TASKS[name] for name in ("mnist-cnn", "cifar10-cnn")}
"""The tasks whose network has the places."""

CUSTOMARY = (0.2, 0.5)
"""The rates that textbooks recommend."""

_INTRODUCTION = """Dropout after one part of the network, the others at p = 0, or after all; test NLL in nats per
example, means over seeds, in brackets the standard error, of the weights with the lowest validation loss. The chosen p
has the lowest mean validation loss; its difference from no dropout is of pairs of the same seed, below 0 is better."""


Sweep = Mapping[float, Sequence[TrainedRow]]
"""Rows by p, in rising order; p = 0 is no dropout."""


def find_sweeps(study: Study, methods: Mapping[str, Sequence[TrainedRow]]) -> dict[str, Sweep]:
    """Return the sweep of each place, or of several, that has rows with dropout; ``methods`` has the rows by name."""
    found: dict[str, dict[float, Sequence[TrainedRow]]] = {}
    for method in study.methods:
        if method.kind == "after" and method.name in methods:
            place = "all" if method.settings["places"] == ALL else method.settings["places"]
            found.setdefault(place, {})[method.settings["p"]] = methods[method.name]
    start = {0.0: rows} if (rows := _find_none(study, methods)) else {}
    return {place: dict(sorted((start | sweep).items())) for place, sweep in found.items()}


def _find_none(study: Study, methods: Mapping[str, Sequence[TrainedRow]]) -> Sequence[TrainedRow]:
    """Return the rows without dropout, empty if there are none."""
    return next(
        (methods[method.name] for method in study.methods if method.kind == "none" and method.name in methods), []
    )


def choose(sweep: Sweep) -> float:
    """Return the p with the lowest mean validation loss."""
    return min(sweep, key=lambda p: summarize(sweep[p], lambda row: row.val_loss)[0])


def _tables(study: Study, rows: Rows) -> str:
    sections = []
    for task in study.tasks:
        found = by_method(rows, task.name)
        if has_rules(study):
            lines = rules_table(study, found)  # type: ignore[arg-type]  # every row is a PlacedRow
            sections += ["\n".join([f"### {study.name}: {task.name}\n", *lines])] if lines else []
        elif by_place := find_sweeps(study, found):
            lines = [*_choices(by_place, _find_none(study, found)), "", *_losses(by_place), *list_missing(study, found)]
            sections.append("\n".join([f"### {study.name}: {task.name}\n", *lines]))
    return "\n\n".join(sections)


def _choices(by_place: Mapping[str, Sweep], none: Sequence[TrainedRow]) -> list[str]:
    body = []
    for place, sweep in by_place.items():
        p = choose(sweep)
        against = paired_difference(sweep[p], none, lambda row: row.test_loss)
        accuracy = show(summarize(sweep[p], lambda row: 100 * row.test_accuracy), 2)
        loss = show(summarize(sweep[p], lambda row: row.test_loss), 4)
        body.append([place, f"{p:g}", accuracy, loss, "not run" if against is None else show(against, 4, "+")])
    return table(("dropout after", "chosen p", "accuracy, %", "NLL", "NLL minus none's"), body)


def _losses(by_place: Mapping[str, Sweep]) -> list[str]:
    rates = sorted({p for sweep in by_place.values() for p in sweep})
    body = [[place, *(_loss(sweep, p) for p in rates)] for place, sweep in by_place.items()]
    return table(["NLL at p", *(f"{p:g}" for p in rates)], body)


def _loss(sweep: Sweep, p: float) -> str:
    return f"{summarize(sweep[p], lambda row: row.test_loss)[0]:.4f}" if p in sweep else ""


def sweeps_figure(study: Study, methods: Mapping[str, Sequence[TrainedRow]], title: str) -> dict[str, Figure]:
    """Return test NLL and test error over p, a line a place, with standard errors; none without a sweep."""
    by_place = {} if has_rules(study) else find_sweeps(study, methods)
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
        spreads = [summarize(rows, value) for rows in sweep.values()]
        errors = [0.0 if math.isnan(error) else error for _, error in spreads]
        axes.errorbar(list(sweep), [mean for mean, _ in spreads], errors, label=place, capsize=2, **look)
    axes.set_xlabel("drop probability p")
    finish(axes)


PAGE = Page("placement", "Where dropout belongs, and how much of it", _INTRODUCTION, _tables, sweeps_figure)
"""The report on this question."""

PLACEMENT = Experiment(
    Path(__file__).parent, TASKS, METHODS, PlacedRow, train_placed, functools.partial(write_page, PAGE)
)
"""The question and its studies."""
