"""The studies of this question, and how the results are shown: effects, pairs, and the best combinations."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import COLOURS, SIZE, finish
from benchmarks.regularisers.factorial import (
    Losses,
    find_losses,
    find_present,
    interaction,
    joint_effect,
    list_regularisers,
    main_effect,
)
from benchmarks.regularisers.methods import METHODS
from benchmarks.report.markdown import show, table
from benchmarks.report.page import Page, Rows, by_method, write_page
from benchmarks.study.command import Experiment
from benchmarks.study.statistics import Spread, paired_difference, summarize
from benchmarks.study.study import Study
from benchmarks.supervised.image_task import IMAGE_TASKS
from benchmarks.supervised.training import TrainedRow, train

__all__ = ["PAGE", "REGULARISERS", "effects_figures"]


def effects_figures(study: Study, methods: Mapping[str, Sequence[TrainedRow]], title: str) -> dict[str, Figure]:
    """Return one figure: the effects of regularisers and of pairs on the test NLL; below 0 is better."""
    losses, names = find_losses(study, methods), list_regularisers(study)
    figure = Figure(figsize=(2 * SIZE[0], 1.1 * SIZE[1]), layout="constrained")
    left, right = figure.subplots(1, 2)
    _bars(left, losses, names)
    _map(figure, right, losses, names)
    figure.suptitle(title)
    return {"effects": figure}


def _bars(axes: Axes, losses: Losses, names: Sequence[str]) -> None:
    spreads = [main_effect(losses, name) or (math.nan, math.nan) for name in names]
    errors = [0.0 if math.isnan(error) else error for _, error in spreads]
    axes.barh(list(names), [mean for mean, _ in spreads], xerr=errors, color=COLOURS[0], height=0.7)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("test NLL with it minus without, nats")
    finish(axes)


def _map(figure: Figure, axes: Axes, losses: Losses, names: Sequence[str]) -> None:
    effects = np.array([[_mean(losses, frozenset((row, column))) for column in names] for row in names])
    largest = float(np.nanmax(np.abs(effects), initial=1e-9))
    # Blue against orange: any colour vision tells them apart, and white is no effect.
    image = axes.imshow(effects, cmap="PuOr_r", vmin=-largest, vmax=largest)
    for (row, column), value in np.ndenumerate(effects):
        if math.isfinite(value):
            colour = "white" if abs(value) > 0.7 * largest else "black"
            axes.text(column, row, f"{value:+.3f}", ha="center", va="center", fontsize="x-small", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    figure.colorbar(image, label="both minus neither, nats")


def _mean(losses: Losses, factors: frozenset[str]) -> float:
    found = joint_effect(losses, factors)
    return math.nan if found is None else found[0]


BEST = 10
"""Combinations that are listed."""

_INTRODUCTION = """Six regularisers, each absent or present, in every combination: a full factorial. Test NLL in nats
per example of the weights with the lowest validation loss; a difference below 0 is better. An effect is the mean
difference between runs of the same seed that differ in that regulariser, or pair, alone, in brackets its standard
error. An interaction above 0 means that two help less together than the sum of what each does."""


def _tables(study: Study, rows: Rows) -> str:
    sections = []
    for task in study.tasks:
        if found := by_method(rows, task.name):
            losses, names = find_losses(study, found), list_regularisers(study)
            lines = [
                *_effects(losses, names),
                "",
                *_pairs(losses, names),
                "",
                *_best(study, found),
                _count(study, found),
            ]
            sections.append("\n".join([f"### {study.name}: {task.name}\n", *lines]))
    return "\n\n".join(sections)


def _effects(losses: Losses, names: Sequence[str]) -> list[str]:
    alone = {key: loss for key, loss in losses.items() if len(key[0]) <= 1}
    body = [[name, _show(main_effect(losses, name)), _show(main_effect(alone, name))] for name in names]
    return table(("regulariser", "effect", "effect alone"), body)


def _pairs(losses: Losses, names: Sequence[str]) -> list[str]:
    pairs = list(combinations(names, 2))
    body = [
        [f"{a} + {b}", _show(joint_effect(losses, frozenset((a, b)))), _show(interaction(losses, a, b))]
        for a, b in pairs
    ]
    return table(("pair", "effect of both", "interaction"), body)


def _best(study: Study, found: Mapping[str, Sequence[TrainedRow]]) -> list[str]:
    present = {method.name: find_present(method) for method in study.methods}
    nothing = next((rows for name, rows in found.items() if not present[name]), [])
    ranked = sorted(found, key=lambda name: summarize(found[name], lambda row: row.val_loss)[0])
    body = []
    for name in ranked[:BEST]:
        loss = show(summarize(found[name], lambda row: row.test_loss), 4)
        accuracy = show(summarize(found[name], lambda row: 100 * row.test_accuracy), 2)
        against = _show(paired_difference(found[name], nothing, lambda row: row.test_loss))
        body.append([" + ".join(sorted(present[name])) or "nothing", str(len(found[name])), accuracy, loss, against])
    return table(("lowest validation losses", "seeds", "accuracy, %", "NLL", "NLL minus nothing's"), body)


def _show(spread: Spread | None) -> str:
    return "not run" if spread is None else show(spread, 4, "+")


def _count(study: Study, found: Mapping[str, Sequence[TrainedRow]]) -> str:
    done = sum(map(len, found.values()))
    return f"\n{done} of {len(study.methods) * len(study.seeds)} runs."


PAGE = Page("regularisers", "Which regularisers help beside dropout", _INTRODUCTION, _tables, effects_figures)
"""The report on this question."""

REGULARISERS = Experiment(
    Path(__file__).parent, IMAGE_TASKS, METHODS, TrainedRow, train, functools.partial(write_page, PAGE)
)
"""The question and its studies."""
