"""`run_figure`: a run in one look."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from adaptive_dropout.plots.look import plain
from adaptive_dropout.plots.losses import draw_gap, draw_losses
from adaptive_dropout.plots.rates import draw_rates, rates_figure
from adaptive_dropout.tracking import History

__all__ = ["run_figure"]


def run_figure(history: History, title: str = "", rewinds: Sequence[int] = (), restarts: Sequence[int] = ()) -> Figure:
    """Draw the rate of every layer over the optimizer steps, above the training and validation loss and the gap.

    Args:
        history: of a finished or running run, as `DropoutRateMonitor` keeps it.
        title: written above the rates.
        rewinds: the steps where the best weights came back.
        restarts: the steps where the initial weights came back.

    Raises:
        ValueError: the history is empty.
    """
    if not any(point.val_loss is not None for point in history.points):
        return rates_figure(history, rewinds, title, restarts)
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    rates, losses, gap = figure.subplots(3, sharex=True, height_ratios=(3, 3, 1.5))
    draw_rates(rates, history, rewinds, restarts)
    rates.set_title(plain(title, longest=90))
    draw_losses(losses, history, rewinds, restarts)
    draw_gap(gap, history, rewinds, restarts)
    return figure
