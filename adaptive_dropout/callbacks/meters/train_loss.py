"""Measures the mean training loss since the last decision, which costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L

from adaptive_dropout.callbacks.losses import add_batch_loss
from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.monitored import Monitored
from adaptive_dropout.controllers import State
from adaptive_dropout.signals import RunningLoss

__all__ = ["TrainLossMeter"]


class TrainLossMeter(Meter):
    """The signals ``train_loss``, with dropout on, and ``train_loss_error``; none without a loss of ``training_step``.

    Args:
        monitored: as in `Meter`.
    """

    def __init__(self, monitored: Monitored) -> None:
        super().__init__(monitored)
        self._running = RunningLoss()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:
        """Take in the loss of this batch."""
        add_batch_loss(self._running, pl_module, outputs)

    def signals(self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]) -> dict[str, float]:
        """Return the mean, and its standard error."""
        mean, error = self._running.mean(), self._running.standard_error()
        if mean is None:
            return {}
        return {"train_loss": mean} if error is None else {"train_loss": mean, "train_loss_error": error}

    def on_decision(self, state: State) -> None:
        """Forget the losses of the last window."""
        self._running.reset()

    def state_dict(self) -> dict[str, Any]:
        """Return the sum so far, for a checkpoint in the middle of an epoch."""
        return self._running.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._running.load_state_dict(state)
