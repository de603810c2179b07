"""`DropoutRateMonitor`: logs every rate, whatever moves it, and remembers the run for its table and figure."""

from __future__ import annotations

from typing import Any, ClassVar

import lightning.pytorch as L
import torch

from adaptive_dropout.callbacks.base import RateCallback
from adaptive_dropout.callbacks.losses import add_batch_loss
from adaptive_dropout.callbacks.trainer import log_numbers, logs_now, steps_done
from adaptive_dropout.rates import Rate, get_rates
from adaptive_dropout.signals import RunningLoss
from adaptive_dropout.tracking.history import History, Point
from adaptive_dropout.tracking.names import rate_keys

__all__ = ["DropoutRateMonitor"]


class DropoutRateMonitor(RateCallback):
    """Logs each rate as ``dropout/<rate>`` at the logger's own interval, and their mean in the progress bar.

    ``history`` keeps the rates at those steps, and at each validation the rates and losses, for
    `adaptive_dropout.plots`.

    Args:
        monitor: which logged metric is the validation loss in ``history``.

    Raises:
        ValueError: at the start of ``fit``: the model has no dropout layer of this library.
    """

    kind: ClassVar[type[Rate]] = Rate  # type: ignore[type-abstract]  # any rate
    remedy: ClassVar[str] = "put adaptive_dropout.Dropout where nn.Dropout is"

    def __init__(self, monitor: str = "val_loss") -> None:
        self.monitor = monitor
        self._begin()

    def _begin(self) -> None:
        self.history = History()
        self._train_loss = RunningLoss()

    @property
    def state_key(self) -> str:
        """Tell apart monitors of different metrics in one checkpoint."""
        return self._generate_state_key(monitor=self.monitor)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record where the rates start."""
        self.history.add(Point(steps_done(trainer), get_rates(pl_module)))

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the rates of this step where the trainer logs."""
        add_batch_loss(self._train_loss, pl_module, outputs)
        if not logs_now(trainer):
            return
        rates = self._rates_now()
        keys = rate_keys(rates)
        log_numbers(trainer, {keys[name]: p for name, p in rates.items()})
        if trainer.progress_bar_callback is not None:
            # On the CPU: a progress bar reads it, at every refresh, and would wait for another device.
            mean = torch.tensor(sum(rates.values()) / len(rates))
            pl_module.log("dropout", mean, on_step=True, on_epoch=False, prog_bar=True, logger=False, batch_size=1)
        self.history.add(Point(steps_done(trainer), rates))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the rates and losses of this validation."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        val_loss = trainer.callback_metrics.get(self.monitor)
        self.history.add(
            Point(
                steps_done(trainer),
                self._rates_now(),
                train_loss=self._train_loss.mean(),
                val_loss=None if val_loss is None else float(val_loss),
            )
        )
        self._train_loss.reset()

    def _rates_now(self) -> dict[str, float]:
        return {name: rate.p for name, rate in self._rates.items()}  # always the same names: new ones take memory

    def state_dict(self) -> dict[str, Any]:
        """Return the history in JSON types."""
        return {"history": self.history.state_dict(), "train_loss": self._train_loss.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if not self._goes_on:
            return
        self.history.load_state_dict(state_dict["history"])
        self._train_loss.load_state_dict(state_dict["train_loss"])
