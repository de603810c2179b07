"""`Meter`: measures, in a Lightning run, a signal that a controller asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L

from adaptive_dropout.callbacks.meters.batches import RunBatches
from adaptive_dropout.callbacks.meters.monitored import Monitored
from adaptive_dropout.controllers import State

__all__ = ["Meter"]


class Meter(ABC):
    """Measures between two decisions. `DropoutRateControl` calls the hooks, named as Lightning's, in this order.

    A hook that a meter does not need does nothing.

    Args:
        monitored: the metric that is the validation loss.
    """

    def __init__(self, monitored: Monitored) -> None:
        self.monitored = monitored

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batches: RunBatches) -> None:  # noqa: B027
        """Training begins, or goes on from a checkpoint, which is loaded by now.

        ``batches`` will keep the first batches of the run, as many as a meter asks for here.

        Raises:
            ValueError, TypeError: this run cannot be measured.
        """

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:  # noqa: B027
        """``batch``, on its device, is about to be trained on."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:  # noqa: B027
        """A batch was trained on; ``outputs`` is what Lightning hands over."""

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: B027
        """A validation of ``fit`` begins; not the sanity check."""

    def on_validation_batch_start(self, trainer: L.Trainer, batch: Any, batch_idx: int) -> None:  # noqa: B027
        """``batch`` of the first loader, on its device, is about to be validated on; not in the sanity check."""

    def on_validation_batch_end(self, trainer: L.Trainer) -> None:  # noqa: B027
        """A batch was validated on, and what it logged was gathered; not in the sanity check."""

    @abstractmethod
    def signals(
        self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]
    ) -> Mapping[str, float | None]:
        """Return what was measured since the last decision; called only where the validation loss is finite.

        None withdraws a signal that is known, but does not mean what it seems to.

        Args:
            trainer: of the run.
            pl_module: as it was validated.
            known: the signals so far, ``val_loss`` among them.
        """

    def examples(self) -> Mapping[str, float]:
        """Return how many examples of this process each signal is a mean of, for those that processes weight by it."""
        return {}

    def on_decision(self, state: State) -> None:  # noqa: B027
        """A decision was made and carried out; later measurements are for the next one."""

    def lost(self) -> str:
        """Return in what a resumed run is measured otherwise than the unbroken one, "" if in nothing."""
        return ""

    def on_fit_end(self) -> None:  # noqa: B027
        """Training ends, normally or by an exception: undo what is still in place."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
