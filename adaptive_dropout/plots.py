"""Figures from a run's history, readable in print and for the colour-blind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from adaptive_dropout.tracking.history import History

__all__ = ["run_figure"]

# Okabe and Ito (2008), which people with any colour vision can tell apart; line styles carry it into grey print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")


def run_figure(history: History, title: str = "") -> Figure:
    """Draw the rate of every layer over the optimizer steps, above the training and validation loss and the gap.

    Args:
        history: of a finished or running run, as `DropoutRateMonitor` keeps it.
        title: written above the rates.

    Raises:
        ValueError: the history is empty.
    """
    if not history.points:
        raise ValueError("the history is empty: nothing has been trained with DropoutRateMonitor yet")
    losses = history.losses()
    figure = Figure(figsize=(7.5, 6.5 if losses else 3.0), layout="constrained")
    if not losses:
        _draw_rates(figure.subplots(), history, title)
        return figure
    rates, loss, gap = figure.subplots(3, sharex=True, height_ratios=(3, 3, 1.5))
    _draw_rates(rates, history, title)
    _draw_losses(loss, losses)
    _draw_gap(gap, losses)
    return figure


def _draw_rates(axes: Axes, history: History, title: str) -> None:
    names = history.rate_names()
    for name, look in zip(names, _looks(), strict=False):
        points = [(point.step, point.rates[name]) for point in history.points if name in point.rates]
        # A rate holds until it is set anew.
        axes.step(*zip(*points, strict=True), where="post", label=name, **look)
    highest = max(p for point in history.points for p in point.rates.values())
    axes.set(ylabel="dropout rate p", ylim=(0, max(1.1 * highest, 0.1)), title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes, legend=len(names) <= 12)


def _draw_losses(axes: Axes, losses: Sequence[tuple[int, float | None, float]]) -> None:
    train, validation = ([(s, t) for s, t, _ in losses if t is not None], [(s, v) for s, _, v in losses])
    if train:
        axes.plot(*zip(*train, strict=True), "--", color=COLOURS[1], label="training, dropout on")
    axes.plot(*zip(*validation, strict=True), color=COLOURS[0], label="validation")
    best = min(validation, key=lambda point: point[1])
    axes.plot(*best, "o", color=COLOURS[0], label=f"best {best[1]:.4g} at step {best[0]}")
    axes.set(ylabel="loss")
    _finish(axes, legend=True)


def _draw_gap(axes: Axes, losses: Sequence[tuple[int, float | None, float]]) -> None:
    points = [(step, val - train) for step, train, val in losses if train is not None]
    if points:
        axes.plot(*zip(*points, strict=True), color=COLOURS[2])
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set(ylabel="gap", xlabel="optimizer steps")
    _finish(axes, legend=False)


def _looks() -> Iterator[dict[str, Any]]:
    # Both change from one line to the next: rates that move together lie on top of each other, and dashes let the lower
    # one be seen.
    for number in count():
        yield {"color": COLOURS[number % len(COLOURS)], "linestyle": STYLES[number % len(STYLES)]}


def _finish(axes: Axes, legend: bool) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    if legend:
        axes.legend(frameon=False, fontsize="small")
