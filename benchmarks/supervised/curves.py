"""`Curves`: the losses of a run at each validation."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L

from adaptive_dropout.signals import RunningLoss

__all__ = ["Curves"]


class Curves(L.Callback):
    """Keeps what was measured at each validation of ``fit``.

    Attributes:
        train_losses: the mean since the validation before, with dropout on.
        val_losses: with dropout off.
        val_accuracies: in [0, 1].
    """

    def __init__(self) -> None:
        self.train_losses: list[float] = []
        self.val_losses: list[float] = []
        self.val_accuracies: list[float] = []
        self._running = RunningLoss()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the loss of a batch."""
        self._running.add(outputs["loss"])

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write a point of each curve."""
        if trainer.state.fn != "fit":
            return
        train_loss = self._running.mean()
        assert train_loss is not None  # a validation follows at least one batch
        self.train_losses.append(train_loss)
        self.val_losses.append(float(trainer.callback_metrics["val_loss"]))
        self.val_accuracies.append(float(trainer.callback_metrics["val_accuracy"]))
        self._running.reset()
