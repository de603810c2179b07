"""`heat_map_figure`: the rates of a deep model, one row a layer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adaptive_dropout.plots.look import SIZE, plain, steps_axis
from adaptive_dropout.plots.names import labels
from adaptive_dropout.tracking import History

__all__ = ["heat_map_figure"]

COLUMNS = 400  # more cannot be told apart on paper
NAMED = 120  # rows that are named, each 0.095 inches high at least


def heat_map_figure(
    history: History, rewinds: Sequence[int] = (), title: str = "", restarts: Sequence[int] = ()
) -> Figure:
    """Draw the rate of each layer over the optimizer steps as a colour, the first layer on top.

    A rate holds until it is set again; before its first point its row is empty. Up to 120 layers all have their names;
    of more layers every second, third, ... has.

    Args:
        history: of a finished or running run, as `DropoutRateMonitor` keeps it.
        rewinds: the steps where the best weights came back, marked above the rows.
        title: written above.
        restarts: the steps where the initial weights came back, marked there too.

    Raises:
        ValueError: the history is empty.
    """
    names = history.rate_names()
    if not names:
        raise ValueError("the history is empty: nothing has been trained with DropoutRateMonitor yet")
    row = min(max(6.0 / len(names), 0.095), 0.25)
    figure = Figure(figsize=(SIZE[0], 1.2 + row * min(len(names), NAMED)), layout="constrained")
    axes = figure.subplots()
    first, last = history.points[0].step, max(history.points[-1].step, history.points[0].step + 1)
    # Cividis rises evenly in lightness, in print and for the colour-blind too.
    image = axes.imshow(
        _columns(history, names, first, last), cmap="cividis", vmin=0, aspect="auto", interpolation="nearest",
        extent=(first, last, len(names) - 0.5, -0.5),
    )  # fmt: skip
    figure.colorbar(image, label="dropout rate p", aspect=30)
    _name_rows(axes, names, size=min(8.0, 60 * row))
    marks = []
    for name, steps, marker, sign in (("rewind", rewinds, "v", "▼"), ("restart", restarts, "s", "■")):
        axes.plot(steps, [-0.5] * len(steps), marker, color="black", markersize=5, clip_on=False)
        marks += [f"{sign} {name} ({len(steps)})"] if steps else []
    lines = [plain(title, longest=70), "   ".join(marks)]
    axes.set_title("\n".join(filter(None, lines)), fontsize=10)
    steps_axis(axes)
    return figure


def _columns(history: History, names: list[str], first: int, last: int) -> list[list[float]]:
    """Sample the rates at evenly spaced steps: one row a name, NaN where it has no rate yet."""
    samples = [first + (last - first) * column / COLUMNS for column in range(COLUMNS)]
    rows = []
    for name in names:
        steps, rates = zip(*((p.step, p.rates[name]) for p in history.points if name in p.rates), strict=True)
        places = [bisect_right(steps, sample) for sample in samples]
        rows.append([rates[place - 1] if place else float("nan") for place in places])
    return rows


def _name_rows(axes: Axes, names: list[str], size: float) -> None:
    stride = -(-len(names) // NAMED)
    short, common = labels(names)
    axes.set_yticks(range(0, len(names), stride), short[::stride], fontsize=size)
    axes.set_ylabel(common, fontsize="small")
    axes.tick_params(axis="y", length=0)
