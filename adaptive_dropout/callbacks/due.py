"""Decisions that are due in a checkpoint: Lightning leaves out a validation that was to follow the checkpoint's batch.

It restarts such a run with the next batch. If the checkpoint says instead that the validation had begun, it is carried
out first.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L

from adaptive_dropout.callbacks.trainer import private

__all__ = ["is_validation_due", "note_validation", "validation_noted"]


def is_validation_due(trainer: L.Trainer) -> bool:
    """Tell, at the end of a training batch, whether a validation follows it."""
    fit: Any = trainer.fit_loop
    done = fit.epoch_loop.batch_progress.total
    if not trainer.training or not done.ready == done.processed == done.completed + 1:
        return False
    return bool(private(fit.epoch_loop, "_should_check_val_fx")(private(fit, "_data_fetcher")))


def note_validation(checkpoint: dict[str, Any]) -> None:
    """Let ``checkpoint`` be one of a run that has done its batch and begun to validate."""
    progress = checkpoint["loops"]["fit_loop"]
    for batches in (progress["epoch_loop.batch_progress"][when] for when in ("total", "current")):
        batches["completed"] = batches["processed"] = batches["ready"]
    validated = progress["epoch_loop.val_loop.batch_progress"]
    for when in ("total", "current"):
        validated[when].update(ready=1, started=1, processed=0, completed=0)
    validated["is_last_batch"] = False


def validation_noted(trainer: L.Trainer) -> None:
    """Forget the begun validation of `note_validation` once Lightning has seen it: later checkpoints are of others."""
    progress: Any = trainer.fit_loop.epoch_loop.val_loop.batch_progress
    progress.total.reset_on_restart()
