"""`losses_figure`: training and validation loss, and the gap between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import COLOURS, SIZE, finish, legend_below, mark_returns, plain, steps_axis, zoom
from adaptive_dropout.plots.thinned import thinned
from adaptive_dropout.tracking import History

__all__ = ["best_validation", "draw_gap", "draw_losses", "losses_figure"]


def losses_figure(
    history: History, rewinds: Sequence[int] = (), title: str = "", restarts: Sequence[int] = ()
) -> Figure:
    """Draw the training and validation loss over the optimizer steps, above the gap between them.

    Args:
        history: of a finished or running run, as `DropoutRateMonitor` keeps it.
        rewinds: the steps where the best weights came back.
        title: written above the losses.
        restarts: the steps where the initial weights came back.

    Raises:
        ValueError: the history has no validation.
    """
    if not history.losses():
        raise ValueError("the history has no validation loss: validate the model, or name the monitor that it logs")
    figure = Figure(figsize=(SIZE[0], 1.3 * SIZE[1]), layout="constrained")
    losses, gap = figure.subplots(2, sharex=True, height_ratios=(2.5, 1))
    draw_losses(losses, history, rewinds, restarts)
    draw_gap(gap, history, rewinds, restarts)
    losses.set_title(plain(title, longest=70))
    legend_below(figure, losses)
    return figure


def draw_losses(axes: Axes, history: History, rewinds: Sequence[int] = (), restarts: Sequence[int] = ()) -> None:
    """Draw both losses into ``axes``, the best validation marked."""
    mark_returns(axes, rewinds, restarts)
    losses = history.losses()
    if train := [(step, loss) for step, loss, _ in losses if loss is not None]:
        axes.plot(*zip(*thinned(train), strict=True), "--", color=COLOURS[1], label="training, dropout on")
    val = [(step, loss) for step, _, loss in losses]
    axes.plot(*zip(*thinned(val), strict=True), color=COLOURS[0])
    axes.lines[-1].set_label("validation")
    best = best_validation(history)
    if best:
        axes.plot(*best, "o", color=COLOURS[0], label=f"best {best[1]:.4g} at step {best[0]}")
    axes.set(ylabel="loss")
    zoom(axes, train + val, seen=best[1:] if best else ())
    finish(axes)


def draw_gap(axes: Axes, history: History, rewinds: Sequence[int] = (), restarts: Sequence[int] = ()) -> None:
    """Draw validation loss - training loss into ``axes``."""
    points = [(step, val - train) for step, train, val in history.losses() if train is not None]
    if points:
        axes.plot(*zip(*thinned(points), strict=True), color=COLOURS[2])
    axes.axhline(0, color="0.6", linewidth=0.8)
    mark_returns(axes, rewinds, restarts)
    axes.set(ylabel="gap")
    zoom(axes, points)
    steps_axis(axes)
    finish(axes)
    if legend := axes.get_legend():
        legend.remove()  # the legend of the losses explains the lines


def best_validation(history: History) -> tuple[int, float] | None:
    """Return ``(step, loss)`` of the lowest finite validation loss, or None where there is none."""
    finite = [(loss, step) for step, _, loss in history.losses() if math.isfinite(loss)]
    return min(finite)[::-1] if finite else None
