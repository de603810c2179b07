"""Which meters measure what a controller asks for: an entry here is all that a new one needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L

from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.hypergradient import HypergradientMeter
from adaptive_dropout.callbacks.meters.probe import Probe
from adaptive_dropout.callbacks.meters.response import ResponseMeter
from adaptive_dropout.callbacks.meters.train_loss import TrainLossMeter
from adaptive_dropout.controllers import State

__all__ = ["Meters"]

ASKED_FOR: Mapping[str, type[Meter]] = {
    "clean_loss": Probe,
    "hypergradient": HypergradientMeter,
    "response": ResponseMeter,
}


class Meters(Meter):
    """The meter of the training loss, which is free, and one for each of the ``needs`` of a controller.

    Args:
        monitor: as in `Meter`.
        needs: what the controller asks for.

    Raises:
        ValueError: nothing measures one of the needs.
    """

    def __init__(self, monitor: str, needs: frozenset[str]) -> None:
        super().__init__(monitor)
        known = {*ASKED_FOR, "snapshot"}
        if unknown := needs - known:
            raise ValueError(
                f"the controller needs {sorted(unknown)}, but only {sorted(known)} can be measured or kept"
            )
        asked = {name: meter(monitor) for name, meter in ASKED_FOR.items() if name in needs}
        self._meters: dict[str, Meter] = {"train_loss": TrainLossMeter(monitor), **asked}

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start all."""
        for meter in self._meters.values():
            meter.start(trainer, pl_module)

    def before_batch(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:
        """Let all have the batch."""
        for meter in self._meters.values():
            meter.before_batch(trainer, pl_module, batch)

    def after_batch(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:
        """Let all have its loss."""
        for meter in self._meters.values():
            meter.after_batch(trainer, pl_module, outputs)

    def listen(self, pl_module: L.LightningModule) -> None:
        """Let all listen."""
        for meter in self._meters.values():
            meter.listen(pl_module)

    def hear(self, trainer: L.Trainer, batch: Any, batch_idx: int) -> None:
        """Let all have the batch."""
        for meter in self._meters.values():
            meter.hear(trainer, batch, batch_idx)

    def stop(self, pl_module: L.LightningModule) -> None:
        """Stop all."""
        for meter in self._meters.values():
            meter.stop(pl_module)

    def signals(self, trainer: L.Trainer, pl_module: L.LightningModule, val_loss: float) -> dict[str, float]:
        """Return what all measured."""
        measured: dict[str, float] = {}
        for meter in self._meters.values():
            measured |= meter.signals(trainer, pl_module, val_loss)
        return measured

    def decided(self, state: State) -> None:
        """Tell all."""
        for meter in self._meters.values():
            meter.decided(state)

    def finish(self) -> None:
        """Finish all."""
        for meter in self._meters.values():
            meter.finish()

    def state_dict(self) -> dict[str, Any]:
        """Return what each has to know, by name."""
        return {name: meter.state_dict() for name, meter in self._meters.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let each go on from where `state_dict` was taken."""
        for name, meter in self._meters.items():
            meter.load_state_dict(state[name])
