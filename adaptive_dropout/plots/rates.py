"""`rates_figure`: every rate over the steps of a run."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import LEGIBLE, SIZE, finish, looks, mark_returns, plain, steps_axis
from adaptive_dropout.plots.names import labels
from adaptive_dropout.plots.thinned import MOST, kept_places, thinned
from adaptive_dropout.tracking import History

__all__ = ["draw_rates", "mean_rates", "rates_figure"]

LINES = 100  # more are a surface, and take seconds to draw


def rates_figure(
    history: History, rewinds: Sequence[int] = (), title: str = "", restarts: Sequence[int] = ()
) -> Figure:
    """Draw the rate of every layer over the optimizer steps.

    Up to twelve rates have a line and a name each; of more, thin lines show the spread around their mean, and
    `heat_map_figure` shows which is which. Of more than a hundred, bands show where all of them are, and the middle
    half.

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
    common = _draw_lines(axes, history, names) if len(names) <= LINES else _draw_bands(axes, history)
    if len(names) > LEGIBLE:
        points = thinned(mean_rates(history))
        axes.step(*zip(*points, strict=True), where="post", color="black", label=f"mean of {len(names)}")
    highest = max(p for point in history.points for p in point.rates.values())
    axes.set(ylabel="dropout rate p", ylim=(0, max(1.1 * highest, 0.1)))
    finish(axes, common if len(names) <= LEGIBLE else "")


def _draw_lines(axes: Axes, history: History, names: list[str]) -> str:
    """Draw a line for each rate, and return what the names have in common."""
    short, common = labels(names)
    few = len(names) <= LEGIBLE
    for name, label, look in zip(names, short, looks(), strict=False):
        points = [(point.step, point.rates[name]) for point in history.points if name in point.rates]
        kind = look | {"label": label} if few else {"color": "0.75", "linewidth": 0.7}
        # A rate holds until it is set again.
        axes.step(*zip(*thinned(points, MOST if few else MOST // 4), strict=True), where="post", **kind)
    return common


def _draw_bands(axes: Axes, history: History) -> str:
    """Draw the range of all rates, and that of the middle half of them."""
    rows = [(point.step, sorted(point.rates.values())) for point in history.points if point.rates]
    ends = [(step, rates[0]) for step, rates in rows], [(step, rates[-1]) for step, rates in rows]
    kept = sorted({place for end in ends for place in kept_places(end, MOST // 2)})
    steps = [rows[place][0] for place in kept]
    for colour, cut, label in (("0.88", 0, "all"), ("0.72", 4, "middle half")):
        sides = [(rates[len(rates) // cut], rates[-1 - len(rates) // cut]) if cut else (rates[0], rates[-1])
                 for _, rates in (rows[place] for place in kept)]  # fmt: skip
        low, high = zip(*sides, strict=True)
        axes.fill_between(steps, low, high, step="post", color=colour, linewidth=0, label=label)
    return ""


def mean_rates(history: History) -> list[tuple[int, float]]:
    """Return ``(step, mean of all rates)`` for each point of ``history``."""
    return [(point.step, sum(point.rates.values()) / len(point.rates)) for point in history.points if point.rates]
