"""Histories to draw, and what is marked in a figure of one."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes

from adaptive_dropout.tracking import History, Point


def history(layers: int, losses: bool = True, name: str = "layer{}") -> History:
    """Rates that begin at 0.3 and rise by 0.1 each ten steps; validation loss 2 / step, training loss half of it."""
    points = [Point(0, {name.format(i): 0.3 for i in range(layers)})]
    for step in (10, 20, 30):
        rates = {name.format(i): 0.3 + step / 100 for i in range(layers)}
        points.append(Point(step, rates, *((1.0 / step, 2.0 / step) if losses else (None, None))))
    return History(points)


def marked_steps(axes: Axes) -> list[float]:
    """The steps where an upright line runs across all of ``axes``."""
    parts = [part for line in axes.lines for part in pairwise(line.get_xydata().tolist())]
    return [step for (step, low), (to, high) in parts if step == to and (low, high) == (0.0, 1.0)]
