"""Learns and measures the response to each rate in any LightningModule that is optimized automatically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch.utilities.data import extract_batch_size

from adaptive_dropout.callbacks.isolated.steps import check_differentiable, isolated_steps
from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.batches import RunBatches
from adaptive_dropout.callbacks.meters.monitored import Monitored
from adaptive_dropout.callbacks.meters.window import Budget, Window
from adaptive_dropout.controllers import State
from adaptive_dropout.rates import SettableRate, get_rates
from adaptive_dropout.signals import Response

__all__ = ["ResponseMeter"]


class ResponseMeter(Meter):
    """The signals ``response/<rate>``: means of what `adaptive_dropout.signals.Response` measures since a decision.

    Measured every ten batches or more often, on as many examples as a tenth of the run's gradient evaluations pays for.
    A rewind leaves the learned response as it is: it goes on learning from the weights that came back.

    Args:
        monitored: as in `Meter`.
    """

    def __init__(self, monitored: Monitored) -> None:
        super().__init__(monitored)
        self._window = Window(Budget(every=10, share=0.1, cost=1.0))
        self._names: list[str] = []
        self._response: Response | None = None
        self._saved: dict[str, Any] | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batches: RunBatches) -> None:
        """Give each example rates of its own from here on; raise where the run cannot be measured."""
        check_differentiable(trainer, pl_module, "response")
        self._names = list(get_rates(pl_module, SettableRate))
        self._response = Response(pl_module)
        if self._saved is not None:
            self._response.load_state_dict(self._saved)
        self._response.install()

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:
        """Measure, if this batch is one to measure on; draw the rates of its examples."""
        assert self._response is not None
        self._window.measure(trainer, batch, lambda _, val: self._measure(trainer, pl_module, val))
        self._response.draw(extract_batch_size(batch))

    def _measure(self, trainer: L.Trainer, pl_module: L.LightningModule, val: Any) -> dict[str, float]:
        assert self._response is not None
        with isolated_steps(trainer, pl_module, self.monitored.name or "") as steps:
            batch = move_data_to_device(val, pl_module.device)
            return self._response.signal(lambda: steps.validation_loss(batch), steps.module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:
        """Let the response learn from this batch, on all processes the same."""
        assert self._response is not None
        for tensor in self._response.parameters():
            if trainer.world_size > 1 and tensor.grad is not None:
                tensor.grad = trainer.strategy.reduce(tensor.grad, reduce_op="mean")
        self._response.learn()

    def on_validation_batch_start(self, trainer: L.Trainer, batch: Any, batch_idx: int) -> None:
        """Keep a piece of the validation data for the next window."""
        self._window.keep(trainer, batch, batch_idx)

    def signals(self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]) -> dict[str, float]:
        """Return the means."""
        return self._window.mean("response", self._names)

    def on_decision(self, state: State) -> None:
        """Begin the next window."""
        self._window.reset()

    def on_fit_end(self) -> None:
        """Give the layers back their own noise."""
        if self._response is not None:
            self._response.remove()

    def lost(self) -> str:
        """Return that validation examples are missing, if they are."""
        return self._window.lost

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know, the learned response with it."""
        return {
            "window": self._window.state_dict(),
            "response": self._saved if self._response is None else self._response.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep the learned response until `on_train_start`."""
        self._window.load_state_dict(state["window"])
        self._saved = state["response"]
