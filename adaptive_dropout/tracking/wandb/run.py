"""The part of a run's record that only W&B can show: axes, configuration, summary, table of decisions, figure."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from adaptive_dropout.tracking.names import AXIS, CONFIG, CONTROL, FIGURE, HISTOGRAM, RATE, TABLE, TRACE
from adaptive_dropout.tracking.run import Run
from adaptive_dropout.tracking.summary import decisions_table, run_summary

__all__ = ["begin_wandb", "decision_media", "finish_wandb"]


def begin_wandb(experiment: Any, run: Run) -> None:
    """Define the axes, and log the controller, its settings and the initial rates.

    Args:
        experiment: the run in W&B.
        run: the record so far; a resumed run has decisions already.
    """
    experiment.define_metric(AXIS)
    for names in (f"{RATE}/*", f"{CONTROL}/*"):
        experiment.define_metric(names, step_metric=AXIS)
    # The summary is for numbers, and text would get a panel of its own.
    experiment.define_metric(TRACE, step_metric=AXIS, summary="none", hidden=True)
    experiment.define_metric(HISTOGRAM, step_metric=AXIS, summary="none")
    settings = {"controller": run.controller, "monitor": run.monitor, "rates": dict(run.rates)}
    experiment.config.update({CONFIG: settings}, allow_val_change=True)
    experiment.log({TRACE: "\n".join(run.lines()), AXIS: run.step})


def decision_media(rates: Mapping[str, float], line: str) -> dict[str, Any]:
    """Return what W&B logs beside a decision's numbers: a histogram of ``rates``, and its ``line`` to read back."""
    import wandb

    return {HISTOGRAM: wandb.Histogram(list(rates.values())), TRACE: line}


def finish_wandb(experiment: Any, run: Run, cost_ratio: float, figure: Figure) -> None:
    """Log the table of decisions, the figure and the summary."""
    import wandb
    from PIL import Image

    columns, rows = decisions_table(run)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=150)
    step = run.decisions[-1].step if run.decisions else run.step
    table = wandb.Table(columns=[*columns], data=rows)
    experiment.log({TABLE: table, FIGURE: wandb.Image(Image.open(picture)), AXIS: step})
    experiment.summary.update(run_summary(run, cost_ratio))
