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

__all__ = ["add_batch_loss", "batch_loss", "loss_in"]


def add_batch_loss(running: RunningLoss, pl_module: L.LightningModule, outputs: Any) -> None:
    """Add the loss of one batch, from the ``outputs`` of ``on_train_batch_end``; where there is none, add nothing."""
    loss = batch_loss(pl_module, outputs)
    if loss is not None:
        running.add(loss)


def batch_loss(pl_module: L.LightningModule, outputs: Any) -> Tensor | None:
    """Return the loss of one batch, from the ``outputs`` of ``on_train_batch_end``; None where there is none."""
    loss = loss_in(outputs)
    if loss is None:
        return None
    # Automatic optimization hands over the loss divided for accumulation; manual optimization as it was returned.
    divided_by = pl_module.trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
    return loss.detach() if divided_by == 1 else loss.detach() * divided_by


def loss_in(outputs: Any) -> Tensor | None:
    """Return the loss in what ``training_step`` returns: a tensor of one number, or that at "loss" of a mapping."""
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    return loss if isinstance(loss, Tensor) and loss.numel() == 1 else None
