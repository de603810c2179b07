"""The loggers' part of a steered run: numbers at each decision, the table and the figure at its end, and its cost."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.loggers import WandbLogger

from adaptive_dropout.callbacks.packages import both
from adaptive_dropout.callbacks.trainer import logging_step
from adaptive_dropout.controllers import State
from adaptive_dropout.tracking.names import decision_metrics
from adaptive_dropout.tracking.run import Run
from adaptive_dropout.tracking.wandb.lost import harmless, is_lost
from adaptive_dropout.tracking.wandb.run import begin_wandb, decision_media, finish_wandb

__all__ = ["Stopwatch", "begin_logs", "finish_logs", "log_decision", "timed"]


class Stopwatch:
    """Seconds since it was made, and those of them that passed in the hooks of its owner.

    On a GPU the time in which a hook waits for kernels counts; that of kernels which nobody waits for does not.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.own = 0.0

    def ratio(self) -> float:
        """Return all seconds over those outside of the hooks, at least 1."""
        whole = time.perf_counter() - self._began
        return whole / max(whole - self.own, 1e-9)


def timed(hook: Callable[..., None]) -> Callable[..., None]:
    """Decorate the ``hook`` of a callback that has a `Stopwatch` named ``stopwatch``: its time is added there."""

    @functools.wraps(hook)
    def run_timed(self: Any, *arguments: Any, **named: Any) -> None:
        began = time.perf_counter()
        try:
            hook(self, *arguments, **named)
        finally:
            self.stopwatch.own += time.perf_counter() - began

    return run_timed


def begin_logs(trainer: L.Trainer, run: Run) -> None:
    """Give W&B the settings and the axes of the run."""
    for logger in _wandb_loggers(trainer):
        with harmless(logger):
            begin_wandb(logger.experiment, run)


def log_decision(trainer: L.Trainer, line: str, state: State, signals: Mapping[str, float]) -> None:
    """Log the ``state`` that ``signals`` led to; W&B also gets the decision's ``line`` and a histogram of rates."""
    # LightningModule.log is refused here; global_step would put the point one to the right of the training step's.
    step = logging_step(trainer)
    numbers = decision_metrics(state, signals, trainer.callback_metrics)
    for logger in trainer.loggers:
        if is_lost(logger):
            continue
        media: dict[str, Any] = {}
        if isinstance(logger, both(WandbLogger)):
            media = decision_media(state.rates, line)
        with harmless(logger):
            logger.log_metrics(numbers | media, step=step)


def finish_logs(trainer: L.Trainer, run: Run, cost_ratio: float) -> None:
    """Give W&B the summary, the table and the figure of the run so far."""
    loggers = _wandb_loggers(trainer) if trainer.is_global_zero else []
    if loggers:
        run = replace(run, decisions=list(run.decisions))  # unpacked once
    for logger in loggers:
        from adaptive_dropout.plots import run_figure

        figure = run_figure(run.history(), rewinds=run.rewinds(), restarts=run.restarts())
        with harmless(logger):
            finish_wandb(logger.experiment, run, cost_ratio, figure)


def _wandb_loggers(trainer: L.Trainer) -> list[WandbLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, both(WandbLogger)) and not is_lost(logger)]
