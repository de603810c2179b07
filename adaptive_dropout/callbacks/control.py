"""`DropoutRateControl`: measures at each validation, asks the controller, carries out what it says, logs the state."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import torch

from adaptive_dropout.callbacks.averages import with_averages
from adaptive_dropout.callbacks.base import RateCallback
from adaptive_dropout.callbacks.checks import check_monitor, check_pace, check_surroundings, check_validated
from adaptive_dropout.callbacks.deciding import begun, check_not_diverged, decided
from adaptive_dropout.callbacks.measure import averaged, measured, run_metrics, run_position
from adaptive_dropout.callbacks.meters import Meters
from adaptive_dropout.callbacks.record import Record
from adaptive_dropout.callbacks.rewinder import Rewinder
from adaptive_dropout.callbacks.stopwatch import Stopwatch, timed
from adaptive_dropout.controllers import Controller, State, state_from_dict, state_to_dict
from adaptive_dropout.controllers.settings import check_controller
from adaptive_dropout.rates import Rate, SettableRate, get_rates, set_rates

__all__ = ["DropoutRateControl"]


class DropoutRateControl(RateCallback):
    """Steers the settable rates of the model with a controller, once after each validation of ``fit``.

    The controller is given ``train_loss`` (mean minibatch loss with dropout on since the last decision), ``val_loss``
    (the ``monitor``), ``step``, ``total_steps``, ``epoch``, every other metric by its name, and, if it asks, what
    `adaptive_dropout.signals` measures. Every number of its state is logged: the rates as
    ``dropout/<rate>``, its memory and the signals as ``dropout_control/<name>``.

    A rewind restores the best weights, the averages that `WeightAveraging` keeps of them, buffers and optimizer state,
    when the next batch begins: checkpoints written after a validation hold what it measured. Half-accumulated gradients
    are dropped; the step count, the learning-rate schedule, the scale of mixed precision, the loggers and the order of
    the data go on. The checkpoint holds the state, what can be rewound to and the state of torch's CPU generator: on a
    CPU a run resumed after a validation goes on as the unbroken one. With several processes the signals that all have
    are averaged, one decides, and all carry it out. A validation without an optimizer step decides nothing.

    >>> from adaptive_dropout import PlateauController
    >>> callbacks = [DropoutRateControl(PlateauController(patience=2), monitor="val_loss")]

    Args:
        controller: the rule; its settings are frozen, all its memory is in ``state``.
        monitor: which logged metric is the validation loss. It is to be minimised.
        folder: where snapshots of the weights are kept for models too large to keep them in memory. Each run needs one
            of its own. The files stay when it ends, for ``trainer.save_checkpoint``.
        mode: only "min"; accuracy and the like are refused.

    Raises:
        TypeError: ``controller`` is no Controller.
        ValueError: the monitor is to be maximised. At the start of ``fit``: the model has no settable rate, or nothing
            validates it, or it cannot be rewound (sharded models, StochasticWeightAveraging, unknown length). Later:
            the monitor is NaN or infinite and there is nothing to rewind to.
        KeyError: the monitor is not logged; told after the sanity check where there is one.
        OSError: ``folder`` cannot be written to.
    """

    kind: ClassVar[type[Rate]] = SettableRate
    remedy: ClassVar[str] = "put adaptive_dropout.Dropout(0.3) where nn.Dropout(0.3) is"

    state: State | None
    """The last decision and the controller's memory; None before the first ``fit``."""

    def __init__(
        self, controller: Controller, monitor: str = "val_loss", folder: str | Path | None = None, mode: str = "min"
    ) -> None:
        check_monitor(monitor, mode)
        self.controller = check_controller(controller)
        self.monitor = monitor
        self.folder = folder
        self._begin()

    def _begin(self) -> None:
        needs = self.controller.needs()
        self.state = None
        self._meters = Meters(self.monitor, needs)
        self._rewinder = Rewinder(self.folder) if "snapshot" in needs else None
        self.record = Record(self.controller, self.monitor)
        self.stopwatch = Stopwatch()
        self._generator: torch.Tensor | None = None
        self._decided_at: int | None = None

    @property
    def state_key(self) -> str:
        """Tell apart controls of different metrics or controllers in one checkpoint."""
        return self._generate_state_key(monitor=self.monitor, controller=repr(self.controller))

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Forget an earlier ``fit``: its best weights are of another run. A checkpoint is loaded after this."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._begin()
            if self._rewinder is not None:
                check_surroundings(trainer, self)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise where there is nothing to steer, or nothing to steer by."""
        super().on_fit_start(trainer, pl_module)
        check_validated(trainer, self)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start from the model's rates and weights, or from the checkpoint's."""
        self.state = begun(self.controller, self.state, get_rates(pl_module, SettableRate))
        set_rates(pl_module, self.state.rates)
        if self._rewinder is not None:
            check_pace(trainer)
            self._rewinder.start(with_averages(trainer, pl_module), trainer.optimizers)
        self._meters.start(trainer, pl_module)
        self.record.start(trainer, self.state)
        self.stopwatch = Stopwatch()
        if self._generator is not None:
            torch.set_rng_state(self._generator)

    @timed
    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Go back where the last decision said so; let the meters have the batch before it is trained on."""
        self._settle()
        self._meters.before_batch(trainer, pl_module, batch)

    @timed
    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Let the meters have its loss."""
        self._meters.after_batch(trainer, pl_module, outputs)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the meters listen to the validation."""
        if trainer.state.fn == "fit":
            self._meters.listen(pl_module)

    @timed
    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Let the meters have the batches of the first dataloader."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and dataloader_idx == 0:
            self._meters.hear(trainer, batch, batch_idx)

    @timed
    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure, decide, carry out, record."""
        if trainer.state.fn != "fit":
            return
        self._meters.stop(pl_module)
        metrics = run_metrics(trainer, self.monitor)
        if trainer.sanity_checking:
            return
        signals = averaged(trainer, metrics) | run_position(trainer)
        if signals["step"] == self._decided_at:
            return
        self._decided_at = int(signals["step"])
        signals |= measured(trainer, pl_module, self._meters, signals["val_loss"])
        if self._rewinder is None or not self._rewinder.can_rewind:
            check_not_diverged(self.monitor, signals)
        before = self.state
        assert before is not None
        self.state = trainer.strategy.broadcast(decided(self.controller, before, signals))
        self.record.add(trainer, before, self.state, signals)
        if self._rewinder is not None:
            self._rewinder.carry_out(self.state)
        self._meters.decided(self.state)
        set_rates(pl_module, self.state.rates)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Go back where the last decision said so, before callbacks that work on the weights of a new epoch."""
        super().on_train_epoch_start(trainer, pl_module)
        self._settle()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Go back where the last decision said so, and sum the run up."""
        self._settle()
        self.record.finish(trainer, self.stopwatch.ratio())

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the model as it was, but for its rates."""
        super().on_fit_end(trainer, pl_module)
        self._meters.finish()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave the model as it was, but for its rates; what waits to be restored is in checkpoints saved now."""
        self._meters.stop(pl_module)
        self._meters.finish()
        self.record.finish(trainer, self.stopwatch.ratio())

    def state_dict(self) -> dict[str, Any]:
        """Return the state in JSON types, what was measured since, and what can be rewound to."""
        return {
            "state": None if self.state is None else state_to_dict(self.state),
            "meters": self._meters.state_dict(),
            "rewinder": None if self._rewinder is None else self._rewinder.state_dict(),
            "record": self.record.state_dict(),
            "generator": torch.get_rng_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint; rates and generator are set when training starts."""
        if not self._goes_on:
            return
        saved = state_dict["state"]
        self.state = None if saved is None else state_from_dict(self.controller, saved)
        self._generator = state_dict["generator"]
        self._meters.load_state_dict(state_dict["meters"])
        self.record.load_state_dict(state_dict["record"])
        if self._rewinder is not None:
            self._rewinder.load_state_dict(state_dict["rewinder"])

    def _settle(self) -> None:
        if self._rewinder is not None:
            self._rewinder.settle()
