"""Which meters measure what a controller asks for: an entry here is all that a new one needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import lightning.pytorch as L

from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.clean_loss import CleanLossMeter
from adaptive_dropout.callbacks.meters.hypergradient import HypergradientMeter
from adaptive_dropout.callbacks.meters.monitored import Monitored
from adaptive_dropout.callbacks.meters.response import ResponseMeter
from adaptive_dropout.callbacks.meters.train_loss import TrainLossMeter

__all__ = ["Meters"]

ASKED_FOR: Mapping[str, type[Meter]] = {
    "clean_loss": CleanLossMeter,
    "hypergradient": HypergradientMeter,
    "response": ResponseMeter,
}


class Meters:
    """The meter of the training loss, which is free, and one for each of the ``needs`` of a controller; iterates them.

    Args:
        monitored: as in `Meter`.
        needs: what the controller asks for.

    Raises:
        ValueError: nothing measures one of the needs.
    """

    def __init__(self, monitored: Monitored, needs: frozenset[str]) -> None:
        known = {*ASKED_FOR, "snapshot"}
        if unknown := needs - known:
            raise ValueError(
                f"the controller needs {sorted(unknown)}, but only {sorted(known)} can be measured or kept"
            )
        asked = {name: meter(monitored) for name, meter in ASKED_FOR.items() if name in needs}
        self._meters: dict[str, Meter] = {"train_loss": TrainLossMeter(monitored), **asked}

    def __iter__(self) -> Iterator[Meter]:
        return iter(self._meters.values())

    def signals(self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]) -> dict[str, float]:
        """Return ``known`` with what all measured; each knows what those before it did."""
        signals = dict(known)
        for meter in self:
            measured = {**signals, **meter.signals(trainer, pl_module, signals)}
            signals = {name: value for name, value in measured.items() if value is not None}
        return signals

    def state_dict(self) -> dict[str, Any]:
        """Return what each has to know, by name."""
        return {name: meter.state_dict() for name, meter in self._meters.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let each go on from where `state_dict` was taken."""
        for name, meter in self._meters.items():
            if name in state:  # another rule may have asked for other meters
                meter.load_state_dict(state[name])
