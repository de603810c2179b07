"""`DropoutRateControl`: measures at each validation, asks the controller, carries out what it says, logs the state."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities import rank_zero_warn

from adaptive_dropout.callbacks.base import RateCallback
from adaptive_dropout.callbacks.losses import add_batch_loss
from adaptive_dropout.callbacks.measure import averaged, batches_between_validations, run_metrics, run_position
from adaptive_dropout.callbacks.probe import Probe
from adaptive_dropout.callbacks.rewinder import Rewinder
from adaptive_dropout.controllers import Controller, State, state_from_dict, state_to_dict
from adaptive_dropout.rates import Rate, SettableRate, get_rates, set_rates
from adaptive_dropout.signals import RunningLoss
from adaptive_dropout.tracking.names import CONTROL, rate_keys, state_metrics

__all__ = ["DropoutRateControl"]

FEW = 20  # validations in a run


class DropoutRateControl(RateCallback):
    """Steers the settable rates of the model with a controller, once after each validation of ``fit``.

    The controller is given ``train_loss`` (mean minibatch loss with dropout on since the last decision), ``val_loss``
    (the ``monitor``), ``step``, ``total_steps``, ``epoch``, every other metric by its name, and, if it asks, the
    signals of `adaptive_dropout.signals.CleanLoss`. Every number of its state is logged: the rates as
    ``dropout/<rate>``, its memory and the losses as ``dropout_control/<field>``.

    A rewind restores the best weights, buffers and optimizer state; the step count, the learning-rate schedule, the
    loggers and the order of the data go on, as do averages of the weights. The checkpoint holds the state, what can be
    rewound to and the state of torch's generator, so that a run resumed after a validation goes on as the unbroken one.
    With several processes the signals are averaged, one decides, and all carry it out.

    >>> from adaptive_dropout import PlateauController
    >>> callbacks = [DropoutRateControl(PlateauController(patience=2), monitor="val_loss")]

    Args:
        controller: the rule; its settings are frozen, all its memory is in ``state``.
        monitor: which logged metric is the validation loss. It is to be minimised.
        folder: where snapshots of the weights are kept for models too large to keep them in memory.

    Raises:
        TypeError: ``controller`` is no Controller.
        ValueError: at the start of ``fit``: the model has no settable rate, or nothing validates it. Later: the monitor
            is NaN or infinite and there is nothing to rewind to.
        KeyError: the monitor is not logged; told after the sanity check where there is one.
    """

    kind: ClassVar[type[Rate]] = SettableRate
    remedy: ClassVar[str] = "put adaptive_dropout.Dropout(0.3) where nn.Dropout(0.3) is"

    state: State | None
    """The last decision and the controller's memory; None before the first ``fit``."""

    _probe: Probe | None
    _rewinder: Rewinder | None
    _generator: torch.Tensor | None

    def __init__(self, controller: Controller, monitor: str = "val_loss", folder: str | Path | None = None) -> None:
        if not isinstance(controller, Controller):
            raise TypeError(f"controller has to be a Controller, such as PlateauController(), but got {controller!r}")
        self.controller = controller
        self.monitor = monitor
        self.folder = folder
        self._begin()

    @property
    def state_key(self) -> str:
        """Tell apart controls of different metrics or controllers in one checkpoint."""
        return self._generate_state_key(monitor=self.monitor, controller=repr(self.controller))

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Forget an earlier ``fit``: its best weights are of another run. A checkpoint is loaded after this."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._begin()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise where there is nothing to steer, or nothing to steer by."""
        super().on_fit_start(trainer, pl_module)
        if not trainer.enable_validation:
            raise ValueError(
                f"{type(self).__name__} decides after each validation, but this run has none; "
                "give the trainer val_dataloaders and the model a validation_step"
            )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start from the model's rates and weights, or from the checkpoint's."""
        rates = get_rates(pl_module, SettableRate)
        if self.state is None:
            self.state = self.controller.init(rates)
        elif set(self.state.rates) != set(rates):
            raise ValueError(
                f"the state was saved for the rates {sorted(self.state.rates)}; the model has {sorted(rates)}"
            )
        set_rates(pl_module, self.state.rates)
        if self._rewinder is not None:
            self._rewinder.start(pl_module, trainer.optimizers)
            _warn_of_few_validations(trainer)
        if self._generator is not None:
            torch.set_rng_state(self._generator)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep a piece of the first batches, if the controller asks for the clean loss."""
        if self._probe is not None:
            self._probe.take(trainer, pl_module, batch)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take in the loss of this batch."""
        add_batch_loss(self._train_loss, pl_module, outputs)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen to the validation loss of each batch, for its standard error."""
        if self._probe is not None and trainer.state.fn == "fit":
            self._probe.listen(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure, decide, carry out, record."""
        if trainer.state.fn != "fit":
            return
        signals = run_metrics(trainer, self.monitor, self._train_loss.mean())
        if self._probe is not None:
            self._probe.stop(pl_module)
        if trainer.sanity_checking:
            return
        assert self.state is not None
        if self._probe is not None and math.isfinite(signals["val_loss"]):
            signals |= self._probe.signals(trainer, pl_module, signals["val_loss"])
        signals = averaged(trainer, signals) | run_position(trainer)
        self.state = trainer.strategy.broadcast(self._decide(self.state, signals))
        self._carry_out(pl_module)
        self._train_loss.reset()
        self._record(trainer, signals)

    def state_dict(self) -> dict[str, Any]:
        """Return the state in JSON types, the running training loss, and what can be rewound to."""
        return {
            "state": None if self.state is None else state_to_dict(self.state),
            "train_loss": self._train_loss.state_dict(),
            "probe": None if self._probe is None else self._probe.state_dict(),
            "rewinder": None if self._rewinder is None else self._rewinder.state_dict(),
            "generator": torch.get_rng_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint; rates and generator are set when training starts."""
        if not self._goes_on:
            return
        saved = state_dict["state"]
        self.state = None if saved is None else state_from_dict(self.controller, saved)
        self._train_loss.load_state_dict(state_dict["train_loss"])
        self._generator = state_dict["generator"]
        if self._probe is not None:
            self._probe.load_state_dict(state_dict["probe"])
        if self._rewinder is not None:
            self._rewinder.load_state_dict(state_dict["rewinder"])

    def _begin(self) -> None:
        needs = self.controller.needs()
        self.state = None
        self._train_loss = RunningLoss()
        self._probe = Probe(self.monitor) if "clean_loss" in needs else None
        self._rewinder = Rewinder(self.folder) if "snapshot" in needs else None
        self._generator = None

    def _decide(self, state: State, signals: dict[str, float]) -> State:
        if math.isfinite(signals["val_loss"]) or self._rewinder is not None:
            return self.controller.update(state, signals)
        raise ValueError(
            f"monitor {self.monitor!r} is {signals['val_loss']} at step {int(signals['step'])}; "
            "the run has diverged: lower the learning rate, or check the data"
        )

    def _carry_out(self, pl_module: L.LightningModule) -> None:
        assert self.state is not None
        if self._rewinder is not None:
            self._rewinder.carry_out(self.state)
        if self._probe is not None and self.state.improved:
            self._probe.clean.mark()
        set_rates(pl_module, self.state.rates)

    def _record(self, trainer: L.Trainer, signals: dict[str, float]) -> None:
        assert self.state is not None
        keys = rate_keys(self.state.rates)
        metrics = {keys[name]: p for name, p in self.state.rates.items()} | state_metrics(self.state)
        measured = {name: signals[name] for name in ("val_loss", "train_loss", "clean_loss") if name in signals}
        metrics |= {f"{CONTROL}/{name}": value for name, value in measured.items()}
        if "train_loss" in signals:
            metrics[f"{CONTROL}/gap"] = signals["val_loss"] - signals["train_loss"]
        # LightningModule.log is refused here; global_step would put the point one to the right of the training step's.
        step = trainer.fit_loop.epoch_loop._batches_that_stepped
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=step)


def _warn_of_few_validations(trainer: L.Trainer) -> None:
    batches = trainer.estimated_stepping_batches * trainer.accumulate_grad_batches
    validations = batches / batches_between_validations(trainer)
    if validations < FEW:
        rank_zero_warn(
            f"this run validates {int(validations)} times, and a rule that rewinds needs at least {FEW} validations; "
            f"set val_check_interval to {max(1, int(batches / FEW))} batches or fewer"
        )
