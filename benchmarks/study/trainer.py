"""The trainer of a cell: validations at equal distances, and nothing on the screen or the disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L

__all__ = ["quiet_trainer"]


def quiet_trainer(every: int, validations: int, callbacks: Sequence[L.Callback], **where: Any) -> L.Trainer:
    """Return a trainer of ``validations`` times ``every`` steps; ``where`` says on what, and the callbacks' folder."""
    return L.Trainer(
        devices=1,
        max_steps=every * validations,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=every * validations,
        **where,
    )
