"""Measures the hypergradient of each rate in any LightningModule that is optimized automatically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
from lightning.fabric.utilities import move_data_to_device

from adaptive_dropout.callbacks.isolated.steps import check_differentiable, isolated_steps
from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.batches import RunBatches
from adaptive_dropout.callbacks.meters.monitored import Monitored
from adaptive_dropout.callbacks.meters.window import Budget, Window
from adaptive_dropout.controllers import State
from adaptive_dropout.rates import SettableRate, get_rates
from adaptive_dropout.signals import hypergradient

__all__ = ["HypergradientMeter"]


class HypergradientMeter(Meter):
    """The signals ``hypergradient/<rate>``: means of `adaptive_dropout.signals.hypergradient` since the last decision.

    Measured every 30 batches or more often, on as many examples as 12 % of the run's gradient evaluations pay for. The
    first batch of a run is measured before it is trained on, so that a model that cannot be differentiated twice raises
    at once. A run that is measured but not steered is the same to the last bit.

    Args:
        monitored: as in `Meter`.
    """

    def __init__(self, monitored: Monitored) -> None:
        super().__init__(monitored)
        # A gradient of each batch, and a second derivative, which takes four forwards of the training batch.
        self._window = Window(Budget(every=30, share=0.12, cost=10 / 3))
        self._names: list[str] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batches: RunBatches) -> None:
        """Raise where the run cannot be measured."""
        check_differentiable(trainer, pl_module, "hypergradient")
        self._names = list(get_rates(pl_module, SettableRate))

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:
        """Measure, if this batch is one to measure on."""
        self._window.measure(trainer, batch, lambda train, val: self._measure(trainer, pl_module, train, val))

    def _measure(self, trainer: L.Trainer, pl_module: L.LightningModule, train: Any, val: Any) -> dict[str, float]:
        with isolated_steps(trainer, pl_module, self.monitored.name or "") as steps:
            return hypergradient(
                steps.module,
                steps.optimizers,
                lambda: steps.training_loss(move_data_to_device(train, pl_module.device)),
                lambda: steps.validation_loss(move_data_to_device(val, pl_module.device)),
            )

    def on_validation_batch_start(self, trainer: L.Trainer, batch: Any, batch_idx: int) -> None:
        """Keep a piece of the validation data for the next window."""
        self._window.keep(trainer, batch, batch_idx)

    def signals(self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]) -> dict[str, float]:
        """Return the means."""
        return self._window.mean("hypergradient", self._names)

    def on_decision(self, state: State) -> None:
        """Begin the next window."""
        self._window.reset()

    def lost(self) -> str:
        """Return that validation examples are missing, if they are."""
        return self._window.lost

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return self._window.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._window.load_state_dict(state)
