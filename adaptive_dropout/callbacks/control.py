"""`DropoutRateControl`: measures at each validation, asks the controller, sets the rates, logs the state."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import lightning.pytorch as L
import torch

from adaptive_dropout.callbacks.base import RateCallback
from adaptive_dropout.callbacks.losses import add_batch_loss
from adaptive_dropout.controllers import Controller, State, state_from_dict, state_to_dict
from adaptive_dropout.rates import Rate, SettableRate, get_rates, set_rates
from adaptive_dropout.signals import RunningLoss
from adaptive_dropout.tracking.names import CONTROL, rate_keys, state_metrics

__all__ = ["DropoutRateControl"]


class DropoutRateControl(RateCallback):
    """Steers the settable rates of the model with a controller, once after each validation of ``fit``.

    The controller is given ``train_loss`` (mean minibatch loss with dropout on since the last decision), ``val_loss``
    (the ``monitor``), ``step``, ``total_steps``, ``epoch``, and every other metric by its name. Every number of its
    state is logged: the rates as ``dropout/<rate>``, its memory and the two losses as ``dropout_control/<field>``.
    The state is in the checkpoint, in JSON types, and the rates are set from it when a run resumes. With several
    processes the signals are averaged, one of them decides, and all set the same rates.

    >>> from adaptive_dropout import PlateauController
    >>> callbacks = [DropoutRateControl(PlateauController(patience=2), monitor="val_loss")]

    Args:
        controller: the rule; its settings are frozen, all its memory is in ``state``.
        monitor: which logged metric is the validation loss. It is to be minimised.

    Raises:
        TypeError: ``controller`` is no Controller.
        ValueError: at the start of ``fit``: the model has no settable rate, or nothing validates it. Later: the monitor
            is NaN or infinite.
        KeyError: the monitor is not logged; told after the sanity check where there is one.
    """

    kind: ClassVar[type[Rate]] = SettableRate
    remedy: ClassVar[str] = "put adaptive_dropout.Dropout(0.3) where nn.Dropout(0.3) is"

    def __init__(self, controller: Controller, monitor: str = "val_loss") -> None:
        if not isinstance(controller, Controller):
            raise TypeError(f"controller has to be a Controller, such as PlateauController(), but got {controller!r}")
        self.controller = controller
        self.monitor = monitor
        self.state: State | None = None
        self._train_loss = RunningLoss()

    @property
    def state_key(self) -> str:
        """Tell apart controls of different metrics or controllers in one checkpoint."""
        return self._generate_state_key(monitor=self.monitor, controller=repr(self.controller))

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise where there is nothing to steer, or nothing to steer by."""
        super().on_fit_start(trainer, pl_module)
        if not trainer.enable_validation:
            raise ValueError(
                "DropoutRateControl decides after each validation, but this run has none; "
                "give the trainer val_dataloaders and the model a validation_step"
            )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start from the model's rates, or from the checkpoint's."""
        rates = get_rates(pl_module, SettableRate)
        if self.state is None:
            self.state = self.controller.init(rates)
        elif set(self.state.rates) != set(rates):
            raise ValueError(
                f"the state was saved for the rates {sorted(self.state.rates)}; the model has {sorted(rates)}"
            )
        set_rates(pl_module, self.state.rates)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take in the loss of this batch."""
        add_batch_loss(self._train_loss, pl_module, outputs)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure, decide, apply, record."""
        if trainer.state.fn != "fit":
            return
        if self.monitor not in trainer.callback_metrics:
            known = sorted(trainer.callback_metrics)
            raise KeyError(f"monitor {self.monitor!r} is not logged; the metrics at validation are {known}")
        if trainer.sanity_checking:
            return
        assert self.state is not None
        signals = self._signals(trainer)
        if not math.isfinite(signals["val_loss"]):
            raise ValueError(
                f"monitor {self.monitor!r} is {signals['val_loss']} at step {trainer.global_step}; "
                "the run has diverged: lower the learning rate, or check the data"
            )
        self.state = trainer.strategy.broadcast(self.controller.update(self.state, signals))
        set_rates(pl_module, self.state.rates)
        self._train_loss.reset()
        self._log(trainer, signals)

    def state_dict(self) -> dict[str, Any]:
        """Return the controller's state and the running training loss in JSON types."""
        state = None if self.state is None else state_to_dict(self.state)
        return {"state": state, "train_loss": self._train_loss.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint; the rates are set when training starts."""
        if not self._goes_on:
            return
        saved = state_dict["state"]
        self.state = None if saved is None else state_from_dict(self.controller, saved)
        self._train_loss.load_state_dict(state_dict["train_loss"])

    def _signals(self, trainer: L.Trainer) -> dict[str, float]:
        # Lightning's own train_loss is of the last step or the epoch before: never let it pass for ours.
        signals = {name: float(value) for name, value in trainer.callback_metrics.items() if name != "train_loss"}
        signals["val_loss"] = signals[self.monitor]
        train_loss = self._train_loss.mean()
        if train_loss is not None:
            signals["train_loss"] = train_loss
        if trainer.world_size > 1:
            local = torch.tensor(list(signals.values()), dtype=torch.float64, device=trainer.strategy.root_device)
            means = trainer.strategy.reduce(local, reduce_op="mean")
            signals = dict(zip(signals, means.tolist(), strict=True))
        signals |= {"step": trainer.global_step, "epoch": trainer.current_epoch}
        total = trainer.estimated_stepping_batches
        return signals if math.isinf(total) else signals | {"total_steps": int(total)}

    def _log(self, trainer: L.Trainer, signals: dict[str, float]) -> None:
        assert self.state is not None
        keys = rate_keys(self.state.rates)
        metrics = {keys[name]: p for name, p in self.state.rates.items()} | state_metrics(self.state)
        metrics[f"{CONTROL}/val_loss"] = signals["val_loss"]
        if "train_loss" in signals:
            metrics[f"{CONTROL}/train_loss"] = signals["train_loss"]
            metrics[f"{CONTROL}/gap"] = signals["val_loss"] - signals["train_loss"]
        # LightningModule.log is refused here; global_step would put the point one to the right of the training step's.
        step = trainer.fit_loop.epoch_loop._batches_that_stepped
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=step)
