"""Which training loss Lightning hands to a callback, and how to undo what it did to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
from torch import Tensor

from adaptive_dropout.signals import RunningLoss

__all__ = ["EpochLoss"]


class EpochLoss:
    """Mean minibatch training loss since the last `reset`, from what ``on_train_batch_end`` is given.

    Lightning's own ``train_loss`` is the last step's, and ``train_loss_epoch`` at a validation is the epoch's before.
    """

    def __init__(self) -> None:
        self.running = RunningLoss()
        self.reset, self.state_dict = self.running.reset, self.running.state_dict
        self.load_state_dict = self.running.load_state_dict

    def add(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:
        """Take in the loss of one batch; a ``training_step`` that returns none adds nothing."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if not isinstance(loss, Tensor):
            return
        # Automatic optimization hands over the loss divided for accumulation; manual optimization as it was returned.
        divided_by = trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
        self.running.add(loss * divided_by)
