"""Figures that compare methods: learning curves, and bars with standard errors over the seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import SIZE, finish, legend_below, looks
from benchmarks.study.statistics import summarize
from benchmarks.study.study import Study
from benchmarks.supervised.training import TrainedRow

__all__ = ["bars_and_curves", "bars_figure", "curves_figure"]

Methods = Mapping[str, Sequence[TrainedRow]]
"""Rows of one task by the name of the method, one for each seed."""


def bars_and_curves(study: Study, methods: Methods, title: str) -> dict[str, Figure]:
    """Return both figures of a task; only the bars if each run was validated once, which gives no curve."""
    figures = {"bars": bars_figure(methods, title)}
    if any(len(row.val_losses) > 1 for rows in methods.values() for row in rows):
        figures["curves"] = curves_figure(methods, title)
    return figures


def curves_figure(methods: Methods, title: str) -> Figure:
    """Draw validation loss, and training loss with dropout on, over the epochs; each line is a mean over the seeds."""
    figure = Figure(figsize=(1.7 * SIZE[0], 1.2 * SIZE[1]), layout="constrained")
    training, validation = figure.subplots(1, 2)  # their ranges differ tenfold
    for (name, rows), look in zip(methods.items(), looks(), strict=False):
        epochs = rows[0].epochs_apart * np.arange(1, len(rows[0].val_losses) + 1)
        training.plot(epochs, np.mean([row.train_losses for row in rows], axis=0), label=name, **look)
        validation.plot(epochs, np.mean([row.val_losses for row in rows], axis=0), **look)
    training.set(xlabel="epochs", ylabel="loss, nats", title="training, dropout on", yscale="log")
    validation.set(xlabel="epochs", title="validation", yscale="log")
    figure.suptitle(title)
    for axes in (training, validation):
        finish(axes)
    legend_below(figure, training)
    return figure


def bars_figure(methods: Methods, title: str) -> Figure:
    """Draw test error, NLL, calibration error and gap of every method, with standard errors where there are seeds."""
    figure = Figure(figsize=(1.7 * SIZE[0], 0.6 + 0.3 * len(methods) + 1.0), layout="constrained")
    each = figure.subplots(1, 4, sharey=True)
    _bars(each[0], methods, [summarize(rows, lambda row: 100 * (1 - row.test_accuracy)) for rows in methods.values()])
    _bars(each[1], methods, [summarize(rows, lambda row: row.test_loss) for rows in methods.values()])
    _bars(each[2], methods, [summarize(rows, lambda row: 100 * row.test_calibration) for rows in methods.values()])
    _bars(each[3], methods, [summarize(rows, lambda row: row.gap) for rows in methods.values()])
    for axes, name in zip(each, ("test error, %", "test NLL, nats", "calibration error, %", "gap, nats"), strict=True):
        axes.set_xlabel(name)
    each[0].invert_yaxis()
    figure.suptitle(title)
    return figure


def _bars(axes: Axes, methods: Methods, spreads: Sequence[tuple[float, float]]) -> None:
    means = [mean for mean, _ in spreads]
    errors = [0.0 if math.isnan(error) else error for _, error in spreads]
    colours = [look["color"] for look, _ in zip(looks(), means, strict=False)]
    axes.barh(list(methods), means, xerr=errors, color=colours, ecolor="0.45", height=0.7)
    finish(axes)
