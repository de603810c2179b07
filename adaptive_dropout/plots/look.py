"""The look of all figures: colours, lines and markers that work in grey print and for any colour vision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from adaptive_dropout.tracking.shown import shown

__all__ = [
    "COLOURS",
    "LEGIBLE",
    "SIZE",
    "finish",
    "legend_below",
    "looks",
    "mark_returns",
    "plain",
    "steps_axis",
    "zoom",
]

# Okabe and Ito (2008), which people with any colour vision can tell apart; line styles carry it into grey print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")
SIZE = (5.6, 3.4)
"""Inches. Letters of 10 points stay above 8 where a phone shows the figure 350 pixels wide."""

LEGIBLE = 12
"""Entries that a legend can hold."""

MARKS = 200
"""Upright lines that can be told apart."""


def looks() -> Iterator[dict[str, Any]]:
    """Yield a colour and a line style for each line, without end.

    Both change from one line to the next. Rates that move together lie on top of each other, and dashes leave the lower
    line visible.
    """
    for number in count():
        yield {"color": COLOURS[number % len(COLOURS)], "linestyle": STYLES[number % len(STYLES)]}


def plain(name: str, longest: int = 32) -> str:
    """Return ``name`` escaped for matplotlib, as `shown` has it: at most ``longest`` characters of it.

    >>> plain("encoder.layers.11.attention.dropout", longest=20)
    'encoder.l…on.dropout'
    """
    name = shown(name, longest)
    # Two dollar signs would begin mathematics, and the legend leaves out labels that begin with an underscore.
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")


def mark_returns(axes: Axes, rewinds: Sequence[int], restarts: Sequence[int]) -> None:
    """Draw dotted upright lines where the best weights came back, dashed ones where the initial ones did.

    The label of each kind has their number. Of lines on top of each other one is drawn.
    """
    for name, steps, pattern in (("rewind", rewinds, (1, 2)), ("restart", restarts, (6, 2))):
        if len(steps):
            # One broken line: for a place of its own, the legend asks each line of the axes whether it is in the way.
            places = [place for step in _apart(steps) for place in ((step, 0.0), (step, 1.0), (step, math.nan))]
            axes.plot(
                *zip(*places, strict=True), color="0.35", linestyle=(0, pattern), linewidth=1.1, zorder=1,
                label=f"{name} ({len(steps)})", transform=axes.get_xaxis_transform(), scaley=False,
            )  # fmt: skip


def _apart(steps: Sequence[int]) -> Sequence[int]:
    if len(steps) <= MARKS:
        return steps
    first, width = min(steps), max(steps) - min(steps) + 1
    return list({(step - first) * MARKS // width: step for step in steps}.values())


def steps_axis(axes: Axes) -> None:
    """Name the horizontal axis, which counts optimizer steps."""
    axes.set_xlabel("optimizer steps")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def zoom(axes: Axes, points: Sequence[tuple[int, float]], seen: Sequence[float] = ()) -> None:
    """Cut the first tenth of ``points``, ``(step, loss)``, off the height of ``axes`` if it would take up most of it.

    The first losses of a run are often ten times the later ones, and would press those into one line. Where they are
    cut off, the figure states the first of them. The losses in ``seen`` are never cut off.
    """
    finite = sorted((step, loss) for step, loss in points if math.isfinite(loss))
    if not finite:
        return
    start, end = finite[0][0], finite[-1][0]
    later = [*seen, *(loss for step, loss in finite if step >= start + 0.1 * (end - start))]
    low, high = min(later), max(later)
    everything = [loss for _, loss in finite]
    if max(everything) - min(everything) <= 2 * (high - low) or high == low:
        return
    axes.set_ylim(low - 0.06 * (high - low), high + 0.12 * (high - low))
    note = f"from {everything[0]:.3g} at step {start}"
    axes.annotate(note, (0, 1.01), xycoords="axes fraction", va="bottom", fontsize="small", color="0.35")


def legend_below(figure: Figure, axes: Axes) -> None:
    """Name the lines of ``axes`` below the figure, where many names hide nothing, and remove all other legends."""
    for each in figure.axes:
        if (legend := each.get_legend()) is not None:
            legend.remove()
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize="small")


def finish(axes: Axes, heading: str = "") -> None:
    """Remove lines without information, and add a legend under ``heading`` if there is something to name."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize="small", title=heading or None, title_fontsize="small")
