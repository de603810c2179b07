"""`comparison_figure`: several runs beside each other."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from adaptive_dropout.plots.look import LEGIBLE, SIZE, finish, legend_below, looks, plain, steps_axis, zoom
from adaptive_dropout.plots.losses import best_validation
from adaptive_dropout.plots.rates import mean_rates
from adaptive_dropout.plots.thinned import thinned
from adaptive_dropout.tracking import History

__all__ = ["comparison_figure"]


def comparison_figure(histories: Mapping[str, History], title: str = "") -> Figure:
    """Draw the mean rate of each run over the optimizer steps, above its validation loss, its best marked.

    Args:
        histories: ``{name of the run: history}``; the first twelve are named.
        title: written above.

    Raises:
        ValueError: there is no history, or one is empty.
    """
    if empty := [name for name, history in histories.items() if not history.rate_names()]:
        raise ValueError(f"runs without rates cannot be compared: {', '.join(empty)}")
    if not histories:
        raise ValueError("histories has to name at least one run, but got {}")
    figure = Figure(figsize=(SIZE[0], 1.5 * SIZE[1]), layout="constrained")
    rates, losses = figure.subplots(2, sharex=True)
    bests = []
    for number, ((name, history), look) in enumerate(zip(histories.items(), looks(), strict=False)):
        label = {"label": plain(name)} if number < LEGIBLE else {}
        rates.step(*zip(*thinned(mean_rates(history)), strict=True), where="post", **look, **label)
        if validations := [(step, loss) for step, _, loss in history.losses()]:
            losses.plot(*zip(*thinned(validations), strict=True), **look)
        if best := best_validation(history):
            losses.plot(*best, "o", color=look["color"])
            bests.append(best[1])
    rates.set(ylabel="mean dropout rate p", title=plain(title, longest=70))
    rates.set_ylim(bottom=0)
    losses.set(ylabel="validation loss")
    zoom(losses, [(step, loss) for history in histories.values() for step, _, loss in history.losses()], bests)
    steps_axis(losses)
    for axes in (rates, losses):
        finish(axes)
    legend_below(figure, rates)
    return figure
