"""`DropoutRateControl`: measures after each validation, and lets a `ControlLoop` decide and carry the decision out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_warn

from adaptive_dropout.callbacks.base import RateCallback
from adaptive_dropout.callbacks.checks import check_alone, check_pace, check_surroundings, check_validated
from adaptive_dropout.callbacks.due import is_validation_due, note_validation, validation_noted
from adaptive_dropout.callbacks.generators import GeneratorState
from adaptive_dropout.callbacks.meters import Measurement, Monitored
from adaptive_dropout.callbacks.record import Stopwatch, begin_logs, finish_logs, log_decision, timed
from adaptive_dropout.callbacks.resume import tell_differences
from adaptive_dropout.callbacks.trainer import averages, passes_over_data, run_dir, steps_done
from adaptive_dropout.controllers import Controller, State
from adaptive_dropout.controllers.base import check_controller
from adaptive_dropout.deprecated import warn_renamed
from adaptive_dropout.rates import Rate, SettableRate
from adaptive_dropout.steering import ControlLoop
from adaptive_dropout.tracking.folders import check_folder
from adaptive_dropout.tracking.run import Run

__all__ = ["DropoutRateControl"]


class DropoutRateControl(RateCallback):
    """Steers the settable rates of the model with a controller, once after each validation of ``fit``.

    The controller gets ``train_loss`` (the mean minibatch loss with dropout on since the last decision), ``val_loss``
    (the ``monitor``), ``step``, ``total_steps``, ``epoch``, every other metric by its name, and, if it asks, the
    measurements of `adaptive_dropout.signals`. Each number of its state is logged: the rates as ``dropout/<rate>``, its
    memory and the signals as ``dropout_control/<name>``. Without an optimizer step since the last validation there is
    no decision. If nothing can be decided, the rates stay and one warning says so: a run that trains is never stopped.

    A rewind restores the best weights, the averages that `WeightAveraging` keeps of them, buffers and optimizer state
    when the next batch begins. Half-accumulated gradients are dropped. The step count, the learning-rate schedule, the
    scale of mixed precision, the loggers and the order of the data go on.

    The checkpoint holds the state, the weights to rewind to, and the global generators of the first process, on its CPU
    and its GPU; with `GeneratorCheckpoint` those of every process. On a CPU a run resumed from a checkpoint that was
    written at any hook goes on as the unbroken one would, bit for bit, if the data that it measures lies in memory; a
    validation that was due then is made up for, which Lightning alone leaves out. What is not brought back is one
    warning: the order of an epoch whose loader has no ``state_dict`` (those of `adaptive_dropout.data` have one),
    gradients that are being accumulated, and examples that are measured, which no checkpoint holds.

    Several processes average their signals; one decides, and all carry the decision out. Their training losses and
    the metrics that they logged without ``sync_dist`` count by examples, all other signals equally: metrics that were
    logged with ``sync_dist=True``, or as metric objects, are already the same everywhere, in the way that Lightning or
    the metric reduces them. Processes without validation data leave the decision to those that have some.

    >>> from adaptive_dropout import PlateauController
    >>> callbacks = [DropoutRateControl(PlateauController(patience=2), monitor="val_loss")]

    Args:
        controller: the rule; its settings are frozen, all its memory is in ``state``.
        monitor: the logged metric that is the validation loss. None finds it: the one that ModelCheckpoint or
            EarlyStopping watch in mode "min", else ``val_loss``, else the only loss or metric logged.
        folder: where snapshots of large models are kept on disk; each run needs a folder of its own. The files stay
            after the run, for ``trainer.save_checkpoint``. None keeps the snapshots in memory.
        mode: "min", or "max" for a score, whose negative is then the validation loss. None finds it: from the
            callbacks that watch the metric, from the metric itself, or from its values on training data.

    Raises:
        TypeError: ``controller`` is not a Controller.
        ValueError: ``mode`` is another word. Before the first batch: the model has no settable rate, nothing validates
            it, it cannot be rewound (sharded models, StochasticWeightAveraging, unknown length), another callback
            steers its rates, or several metrics could be the monitor.
        KeyError: before the first batch: the monitor is not logged.
        OSError: ``folder`` cannot be written to.
    """

    kind: ClassVar[type[Rate]] = SettableRate
    remedy: ClassVar[str] = "put adaptive_dropout.Dropout(0.3) where nn.Dropout(0.3) is"

    loop: ControlLoop | None
    """Decides, restores, sets the rates and writes ``decisions.jsonl``; None before the first ``fit``."""

    def __init__(
        self,
        controller: Controller,
        monitor: str | None = None,
        folder: str | Path | None = None,
        mode: str | None = None,
    ) -> None:
        self.controller = check_controller(controller)
        self.monitor = monitor
        self.mode = mode
        self.folder = folder
        self._begin()

    def _begin(self) -> None:
        self.loop = None
        self.monitored = Monitored(self.monitor, self.mode)
        self.stopwatch = Stopwatch()
        self._measurement = Measurement(self.monitored, self.controller.needs())
        self._saved: dict[str, Any] | None = None
        self._generators = GeneratorState()
        self._opened = self._resumed = self._validating = False

    @property
    def state(self) -> State | None:
        """The last decision and the controller's memory; None before the first ``fit``."""
        return None if self.loop is None else self.loop.state

    @property
    def run(self) -> Run | None:
        """All decisions so far; None before the first ``fit``."""
        return None if self.loop is None else self.loop.run

    @property
    def record(self) -> DropoutRateControl:
        """The callback itself, for ``record.run``, which is now `run`. Deprecated."""
        warn_renamed("record.run", "run")
        return self

    @property
    def state_key(self) -> str:
        """The name of this callback's part in a checkpoint: its class and its ``monitor``."""
        return self._generate_state_key(monitor=self.monitor)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Forget an earlier ``fit``, whose best weights belong to another run. A checkpoint is loaded after this."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and self._rewinds:
            check_surroundings(trainer, self)
            if self.folder is not None:
                check_folder(self.folder)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise where the model has no rate to steer, or where nothing validates it."""
        super().on_fit_start(trainer, pl_module)
        check_validated(trainer, self)
        check_alone(trainer, DropoutRateControl)
        self._generators.on_fit_start(trainer)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start from the model's rates and weights, or from the checkpoint's."""
        if self._rewinds:
            check_pace(trainer)
        self._start_loop(trainer, pl_module)
        self._measurement.on_train_start(trainer, pl_module)
        self.stopwatch = Stopwatch()
        if self._saved is not None:
            tell_differences(trainer, self._measurement.lost())
            validation_noted(trainer)
            self._saved, self._resumed = None, True
        self._generators.on_train_start()

    @timed
    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Carry out a rewind that waits, and show the batch to the meters before it is trained on."""
        if not self._opened:
            self._open(trainer, pl_module)
        self._started_loop.before_step()
        self._measurement.on_train_batch_start(trainer, pl_module, batch)

    @timed
    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the loss of the batch to the meters."""
        self._measurement.on_train_batch_end(trainer, pl_module, outputs)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tell the meters that a validation begins."""
        if self._resumed and not self._opened:  # the checkpoint was made just before it
            self._open(trainer, pl_module)
        self._validating = trainer.state.fn == "fit" and not trainer.sanity_checking
        self._measurement.on_validation_start(trainer, pl_module)

    @timed
    def on_validation_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Show the batches of the first dataloader to the meters."""
        if dataloader_idx == 0:
            self._measurement.on_validation_batch_start(trainer, batch, batch_idx)

    @timed
    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Show the meters what the batch logged."""
        self._measurement.on_validation_batch_end(trainer)

    @timed
    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure, decide, log. The loop carries the decision out and writes it down."""
        self._validating = False
        sign = self.monitored.sign
        signals = self._measurement.measure(trainer, pl_module)
        if signals is None:
            return
        if self.monitored.sign != sign:  # the monitored loss was found to be a score
            self._started_loop.forget()
        state = self._started_loop.decide(signals)
        log_decision(trainer, self._started_loop.last_line, state, signals)
        self._measurement.on_decision(state)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Carry out a rewind that waits, before callbacks that work on the weights of a new epoch."""
        super().on_train_epoch_start(trainer, pl_module)
        self._generators.on_train_epoch_start()
        self._started_loop.before_step()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note it for checkpoints that are written from now until the next epoch."""
        self._generators.on_train_epoch_end()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Carry out a rewind that waits, and sum the run up."""
        self._leave_model()
        self._close(trainer)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remove from the model what measured it. If a checkpoint left nothing to train, go to its run's end."""
        if self._saved is not None:
            self._start_loop(trainer, pl_module)
            self._leave_model()
            self._saved = None
        self._generators.on_fit_end()
        super().on_fit_end(trainer, pl_module)
        self._measurement.on_fit_end()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Remove from the model what measured it. A checkpoint saved now holds the rewind that waits."""
        self._measurement.on_fit_end()
        self._close(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let a run resumed from this checkpoint make up for a validation that is due or not yet decided on."""
        if self.loop is not None and (self._validating or is_validation_due(trainer)):
            note_validation(checkpoint)
            checkpoint["callbacks"][self.state_key]["metrics"] = self._measurement.logged(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return the loop's state, what was measured since the last decision, and the generators' states."""
        if self.loop is None and self._saved is not None:
            return self._saved  # loaded, and not yet taken over
        return {
            "loop": None if self.loop is None else self.loop.state_dict(),
            "measurement": self._measurement.state_dict(),
            "generators": self._generators.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint; the loop and the generator take it over when training starts."""
        if self._goes_on and state_dict["loop"] is not None:
            self._saved = state_dict
            self._measurement.load_state_dict(state_dict["measurement"])
            self._measurement.go_on_with(state_dict.get("metrics", {}))
            ended = state_dict.get("epoch_ended", False)
            cpu = {"states": {"cpu": state_dict.get("generator")}, "epoch_ended": ended}  # all of an earlier version
            self._generators.load_state_dict(state_dict.get("generators", cpu))

    @property
    def _rewinds(self) -> bool:
        return "snapshot" in self.controller.needs()

    @property
    def _started_loop(self) -> ControlLoop:
        assert self.loop is not None, "training has not started"
        return self.loop

    def _start_loop(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.loop = ControlLoop(
            self.controller, pl_module, *trainer.optimizers, averages=averages(trainer), folder=self.folder,
            passes=passes_over_data(trainer), share=trainer.strategy.broadcast, warn=rank_zero_warn,
        )  # fmt: skip
        if self._saved is not None:
            self.loop.load_state_dict(self._saved["loop"])

    def _leave_model(self) -> None:
        """Leave the model as the run ends with it."""
        self._started_loop.before_step()

    def _open(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find the monitor and begin the record, before the first batch is trained on."""
        self._opened = True
        self._measurement.find_monitor(trainer, pl_module)
        run = self._started_loop.run
        if not self._resumed:
            run.monitor, run.step = self.monitored.name or "the validation loss", steps_done(trainer)
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._started_loop.record_in(run_dir(trainer))
            begin_logs(trainer, run)

    def _close(self, trainer: L.Trainer) -> None:
        if self.loop is not None:
            self.loop.close()
            finish_logs(trainer, self.loop.run, self.stopwatch.ratio())
