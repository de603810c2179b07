"""Which training loss Lightning hands to a callback, and how to undo what it did to it.

Its logged ``train_loss`` is the last step's, and at a validation ``train_loss_epoch`` is the epoch's before: a decision
needs the losses themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
from torch import Tensor

from adaptive_dropout.signals import RunningLoss

__all__ = ["add_batch_loss", "loss_in"]


def add_batch_loss(running: RunningLoss, pl_module: L.LightningModule, outputs: Any) -> None:
    """Add the loss of one batch, from the ``outputs`` of ``on_train_batch_end``; where there is none, add nothing."""
    loss = loss_in(outputs)
    if loss is None:
        return
    # Automatic optimization hands over the loss divided for accumulation; manual optimization as it was returned.
    divided_by = pl_module.trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
    running.add(loss * divided_by)


def loss_in(outputs: Any) -> Tensor | None:
    """Return the loss in what ``training_step`` returns: a number in a tensor, or one at "loss" of a mapping; or None."""
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    return loss if isinstance(loss, Tensor) and loss.numel() == 1 else None
