"""`grid_figure`: the result of a grid search over the rate, and the way of adaptive runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import COLOURS, LEGIBLE, SIZE, finish, legend_below, plain

__all__ = ["grid_figure"]

MARKERS = "*DPX^vs"


def grid_figure(
    grid: Mapping[float, Sequence[float]], runs: Mapping[str, Sequence[tuple[float, float]]], title: str = ""
) -> Figure:
    """Draw the loss over fixed rates, and the way of each adaptive run through that plane to its best validation.

    The axis shows the losses of the grid and of the best points, and some above; runs enter from there.

    Args:
        grid: ``{p: losses}``, the best validation loss of each run at that fixed p; several seeds show their mean and
            range.
        runs: ``{name: [(p, loss), ...]}``, the mean rate and the validation loss at each validation of an adaptive
            run; the first twelve are named.
        title: written above.

    Raises:
        ValueError: the grid is empty, or a loss in it is NaN or infinite.
    """
    if not grid or not all(grid.values()):
        raise ValueError(f"a grid needs at least one loss for each of its rates, but got {dict(grid)}")
    if broken := {p: losses for p, losses in grid.items() if not all(map(math.isfinite, losses))}:
        raise ValueError(f"the losses of the grid have to be finite, but got {broken}; leave diverged runs out")
    figure = Figure(figsize=(SIZE[0], 1.2 * SIZE[1]), layout="constrained")
    axes = figure.subplots()
    _draw_grid(axes, grid)
    bests = [_draw_run(axes, name, way, number) for number, (name, way) in enumerate(runs.items())]
    shown = [loss for losses in grid.values() for loss in losses] + [best for best in bests if best is not None]
    room = 0.08 * (max(shown) - min(shown)) or 0.1 * abs(min(shown)) or 0.1
    axes.set(xlabel="dropout rate p (mean of the layers)", ylabel="validation loss", title=plain(title, longest=70))
    axes.set(ylim=(min(shown) - room, max(shown) + 4 * room))  # some of the way down
    finish(axes)
    legend_below(figure, axes)
    return figure


def _draw_grid(axes: Axes, grid: Mapping[float, Sequence[float]]) -> None:
    rates = sorted(grid)
    means = [sum(grid[p]) / len(grid[p]) for p in rates]
    below = [mean - min(grid[p]) for p, mean in zip(rates, means, strict=True)]
    above = [max(grid[p]) - mean for p, mean in zip(rates, means, strict=True)]
    axes.errorbar(rates, means, (below, above), fmt="o--", color="0.3", markersize=4, capsize=3, label="fixed rates")


def _draw_run(axes: Axes, name: str, way: Sequence[tuple[float, float]], number: int) -> float | None:
    """Draw the way as small dots on a line and its best point as a large marker; return the loss there."""
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    points = [(p, loss) for p, loss in way if math.isfinite(loss)]
    if not points:
        return None
    axes.plot(*zip(*points, strict=True), ".-", color=colour, alpha=0.5, linewidth=0.9, markersize=4)
    best = min(points, key=lambda point: point[1])
    axes.plot(
        *best, marker, color=colour, markersize=13 if marker == "*" else 8, markeredgecolor="white", linestyle="",
        label=f"{plain(name)}: {best[1]:.4g} at {best[0]:.2g}" if number < LEGIBLE else None, zorder=4,
    )  # fmt: skip
    return best[1]
