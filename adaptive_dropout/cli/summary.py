"""The summary after ``fit``: validation and test metrics, the way of each rate, and where the files are."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as L
from rich.console import Console
from rich.table import Table

from adaptive_dropout.callbacks import DropoutRateControl, DropoutRateMonitor
from adaptive_dropout.callbacks.packages import callbacks_of
from adaptive_dropout.callbacks.trainer import best_checkpoint, log_numbers, run_dir
from adaptive_dropout.cli.terminal import cells, warn
from adaptive_dropout.plots import run_figure
from adaptive_dropout.tracking import History, WandbLogger, names
from adaptive_dropout.tracking.run import Run

__all__ = ["show_summary"]

FIGURE = "dropout_rates.png"


def show_summary(trainer: L.Trainer, model: L.LightningModule, data: L.LightningDataModule) -> None:
    """Evaluate the best checkpoint, write the figure, and print the tables and the paths of the files."""
    checkpoint = best_checkpoint(trainer)
    metrics = evaluate(trainer, model, data, checkpoint)
    if not trainer.is_global_zero:
        return
    tables = [_metrics_table(*metrics)]
    places = {"run": run_dir(trainer)}
    if checkpoint is not None:
        places["checkpoint"] = checkpoint
    history = next((monitor.history for monitor in callbacks_of(trainer, DropoutRateMonitor)), None)
    if history is not None and history.points:
        tables.append(_rates_table(history))
        if (figure := save_figure(trainer, history)) is not None:
            places["figure"] = figure
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            places["W&B"] = logger.run_dir
            logger.finish()
    console = Console()
    console.print(*tables, sep="\n")
    width = max(map(len, places))
    for what, where in places.items():
        console.print(f"{what:{width}}  {where}", soft_wrap=True, highlight=False, markup=False)


def evaluate(
    trainer: L.Trainer, model: L.LightningModule, data: L.LightningDataModule, checkpoint: Path | None
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the validation and test metrics without their prefixes, of ``checkpoint``, or of ``model`` without one."""
    path = None if checkpoint is None else str(checkpoint)
    loggers, trainer.loggers = trainer.loggers, []  # the curves of the run end with training
    (val,) = trainer.validate(model, data, ckpt_path=path, verbose=False)
    (test,) = trainer.test(model, data, ckpt_path=path, verbose=False)
    trainer.loggers = loggers
    log_numbers(trainer, test)
    return (
        {name.removeprefix("val_"): value for name, value in val.items()},
        {name.removeprefix("test_"): value for name, value in test.items()},
    )


def save_figure(trainer: L.Trainer, history: History) -> Path | None:
    """Write the figure of the run as PNG next to it, and log it to W&B as an image; None where it cannot be written."""
    path = run_dir(trainer) / FIGURE
    steered = [control.run for control in callbacks_of(trainer, DropoutRateControl)]
    runs = [run for run in steered if run]
    rewinds, restarts = ([step for run in runs for step in find(run)] for find in (Run.rewinds, Run.restarts))
    figure = run_figure(history, rewinds=rewinds, restarts=restarts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    except OSError as error:  # a run of a week is not lost for a full disk
        warn(f"no figure ({error})")
        return None
    if steered:
        return path  # the control has given W&B its own
    for logger in trainer.loggers:
        if isinstance(logger, L.loggers.WandbLogger):
            logger.log_image(names.FIGURE, [str(path)])
    return path


def _metrics_table(val: dict[str, float], test: dict[str, float]) -> Table:
    table = Table("metric", title="best checkpoint", title_justify="left")
    table.add_column("validation", justify="right")
    table.add_column("test", justify="right")
    for name in dict.fromkeys([*val, *test]):
        table.add_row(*cells(name, *(f"{metrics[name]:.4f}" if name in metrics else "" for metrics in (val, test))))
    return table


def _rates_table(history: History) -> Table:
    table = Table("dropout rate", title="rates of the run", title_justify="left")
    for column in ("start", "end", "min", "max"):
        table.add_column(column, justify="right")
    for name, summary in history.summary().items():
        table.add_row(*cells(name, *(f"{p:.3f}" for p in summary)))
    return table
