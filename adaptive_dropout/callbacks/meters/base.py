"""What a meter is: it measures, in a Lightning run, the signals that a controller asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import lightning.pytorch as L

from adaptive_dropout.controllers import State

__all__ = ["Meter"]


class Meter(ABC):
    """Measures between two decisions. `DropoutRateControl` calls it, in this order; most meters need few of the calls.

    A call that a meter does not need does nothing.

    Args:
        monitor: the metric that ``validation_step`` logs as the validation loss.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: B027
        """Training begins, or goes on from a checkpoint, which is loaded by now.

        Raises:
            ValueError, TypeError: this run cannot be measured.
        """

    def before_batch(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:  # noqa: B027
        """``batch``, on its device, is about to be trained on."""

    def after_batch(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:  # noqa: B027
        """A batch was trained on; ``outputs`` is what Lightning says of it."""

    def listen(self, pl_module: L.LightningModule) -> None:  # noqa: B027
        """A validation of ``fit`` begins."""

    def hear(self, trainer: L.Trainer, batch: Any, batch_idx: int) -> None:  # noqa: B027
        """``batch``, on its device, is about to be validated on; not in the sanity check."""

    def stop(self, pl_module: L.LightningModule) -> None:  # noqa: B027
        """A validation of ``fit`` ends, by itself or by an exception; what `listen` began ends with it."""

    @abstractmethod
    def signals(self, trainer: L.Trainer, pl_module: L.LightningModule, val_loss: float) -> dict[str, float]:
        """Return what was measured since the last decision; asked only where the validation loss is finite."""

    def decided(self, state: State) -> None:  # noqa: B027
        """A decision was made and carried out; what is measured from now on is for the next."""

    def finish(self) -> None:  # noqa: B027
        """Training ends, by itself or by an exception."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
