"""`rates_figure`: every rate over the steps of a run."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import LEGIBLE, SIZE, finish, looks, mark_returns, plain, steps_axis
from adaptive_dropout.plots.names import labels
from adaptive_dropout.tracking import History

__all__ = ["draw_rates", "mean_rates", "rates_figure"]


def rates_figure(
    history: History, rewinds: Sequence[int] = (), title: str = "", restarts: Sequence[int] = ()
) -> Figure:
    """Draw the rate of every layer over the optimizer steps.

    Up to twelve rates have a line and a name each; of more, thin lines show the spread around their mean, and
    `heat_map_figure` shows which is which.

    Args:
        history: of a finished or running run, as `DropoutRateMonitor` keeps it.
        rewinds: the steps where the best weights came back.
        title: written above the rates.
        restarts: the steps where the initial weights came back.

    Raises:
        ValueError: the history is empty.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    draw_rates(axes, history, rewinds, restarts)
    axes.set_title(plain(title, longest=70))
    steps_axis(axes)
    return figure


def draw_rates(axes: Axes, history: History, rewinds: Sequence[int] = (), restarts: Sequence[int] = ()) -> None:
    """Draw the lines of `rates_figure` into ``axes``.

    Raises:
        ValueError: the history is empty.
    """
    names = history.rate_names()
    if not names:
        raise ValueError("the history is empty: nothing has been trained with DropoutRateMonitor yet")
    mark_returns(axes, rewinds, restarts)
    short, common = labels(names)
    for name, label, look in zip(names, short, looks(), strict=False):
        points = [(point.step, point.rates[name]) for point in history.points if name in point.rates]
        kind = look | {"label": label} if len(names) <= LEGIBLE else {"color": "0.75", "linewidth": 0.7}
        # A rate holds until it is set again.
        axes.step(*zip(*points, strict=True), where="post", **kind)
    if len(names) > LEGIBLE:
        axes.step(*zip(*mean_rates(history), strict=True), where="post", color="black", label=f"mean of {len(names)}")
    highest = max(p for point in history.points for p in point.rates.values())
    axes.set(ylabel="dropout rate p", ylim=(0, max(1.1 * highest, 0.1)))
    finish(axes, common if len(names) <= LEGIBLE else "")


def mean_rates(history: History) -> list[tuple[int, float]]:
    """Return ``(step, mean of all rates)`` for each point of ``history``."""
    return [(point.step, sum(point.rates.values()) / len(point.rates)) for point in history.points if point.rates]
