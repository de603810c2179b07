"""The effects as bars with standard errors, and those of pairs as a map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import COLOURS, SIZE, finish
from benchmarks.regularisers.factorial import Losses, find_losses, joint_effect, list_regularisers, main_effect
from benchmarks.study.study import Study
from benchmarks.supervised.training import TrainedRow

__all__ = ["effects_figures"]


def effects_figures(study: Study, methods: Mapping[str, Sequence[TrainedRow]], title: str) -> dict[str, Figure]:
    """Return one figure: what each regulariser does to the test NLL, and what each pair does; below 0 is better."""
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
