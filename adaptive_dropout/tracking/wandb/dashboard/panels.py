"""The panels of dashboards and reports: what is logged under the names in `adaptive_dropout.tracking.names`."""

from __future__ import annotations

import re

from wandb_workspaces.reports import v2 as wr

from adaptive_dropout.tracking.names import AXIS, CONFIG, CONTROL, FIGURE, RATE, SUMMARY, TABLE

__all__ = ["BEST", "RULE", "bars", "decisions", "losses", "rates", "sweeps"]

VALIDATION, TRAINING, GAP = (f"{CONTROL}/{name}" for name in ("val_loss", "train_loss", "gap"))
REWIND, RESTART = f"{CONTROL}/rewind", f"{CONTROL}/restart"
BEST, FINAL_RATE, FINAL_GAP = (f"{SUMMARY}/{name}" for name in ("best_val_loss", "rate", "gap"))
RULE = f"{CONFIG}.controller.class_path"  # in the configuration of a run: its controller
SECONDS = "RelativeTime(Process)"  # W&B's own name

# W&B's own limit is 10 runs, one fewer than a grid and the run that replaces it.
LINES, BARS = 20, 100

# Where the command line sets them, and so a sweep; runs that were started otherwise have no line in the plot.
SETTINGS = {
    "rate at start": "model.init_args.network.init_args.dropout.init_args.p",
    "learning rate": "model.init_args.optimizer.init_args.lr",
}


def rates() -> list[wr.LinePlot]:
    """Return one plot of every rate over the steps."""
    return [
        wr.LinePlot(
            title="dropout rate of each layer", x=AXIS, metric_regex=f"^{re.escape(RATE)}/.+", range_y=(0.0, 1.0),
            max_runs_to_show=LINES, layout=_wide(),
        )
    ]  # fmt: skip


def losses() -> list[wr.LinePlot]:
    """Return plots of the losses and of the gap; a line rises to 1 where the best or initial weights were restored."""
    marks = [REWIND, RESTART]  # W&B draws no vertical lines
    shown = {"loss": [VALIDATION, TRAINING], "gap": [GAP]}
    return [
        wr.LinePlot(
            title=f"{name}, and rewinds as spikes to 1", x=AXIS, y=[*keys, *marks], max_runs_to_show=LINES,
            layout=_half(),
        )
        for name, keys in shown.items()
    ]  # fmt: skip


def decisions() -> list[wr.MediaBrowser | wr.WeavePanelSummaryTable]:
    """Return the figure of each run, with its rewinds, and the table of decisions with their reasons."""
    figure = wr.MediaBrowser(title="rates, losses, gap and rewinds", media_keys=[FIGURE], layout=_wide())
    return [figure, wr.WeavePanelSummaryTable(table_name=TABLE, layout=_wide())]


def bars() -> list[wr.BarPlot | wr.ScatterPlot]:
    """Return plots that compare one run with the runs of a grid: the losses that they reached, and their time."""
    rule = wr.Config(RULE)
    return [
        wr.BarPlot(
            title="best validation loss of each run", metrics=[BEST], max_runs_to_show=BARS, max_bars_to_show=BARS,
            layout=_half(),
        ),
        wr.ScatterPlot(
            title="best validation loss over the final rate", x=wr.SummaryMetric(FINAL_RATE), y=wr.SummaryMetric(BEST),
            layout=_half(),
        ),
        wr.BarPlot(
            title="best validation loss of each rule", metrics=[BEST], groupby=rule, groupby_aggfunc="min",
            max_runs_to_show=BARS, layout=_half(),
        ),
        wr.BarPlot(
            title="seconds of all runs of each rule", metrics=[SECONDS], groupby=rule, groupby_aggfunc="sum",
            max_runs_to_show=BARS, layout=_half(),
        ),
    ]  # fmt: skip


def sweeps() -> list[wr.ParallelCoordinatesPlot]:
    """Return a plot with one line for each run, from the settings of a sweep to the results."""
    said = {name: wr.Config(path) for name, path in SETTINGS.items()}
    found = {"final gap": FINAL_GAP, "best validation loss": BEST}
    columns = said | {name: wr.SummaryMetric(key) for name, key in found.items()}
    plot = [wr.ParallelCoordinatesPlotColumn(metric, display_name=name) for name, metric in columns.items()]
    return [wr.ParallelCoordinatesPlot(title="from settings to best validation loss", columns=plot, layout=_wide())]


def _half() -> wr.Layout:
    return wr.Layout(w=12, h=8)


def _wide() -> wr.Layout:
    return wr.Layout(w=24, h=9)
