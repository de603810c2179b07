"""`AdaptiveDropoutCallback`: measures at each evaluation of transformers' Trainer, decides, carries out, logs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from torch import nn
from torch.optim import Optimizer
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from adaptive_dropout.callbacks.transformers.checkpoint import kept_in, load_snapshots, save_snapshots
from adaptive_dropout.callbacks.transformers.checks import check_run, examples_between
from adaptive_dropout.callbacks.transformers.clean_loss import TrainerCleanLoss
from adaptive_dropout.callbacks.transformers.loss import LoggedLoss
from adaptive_dropout.controllers import Controller, RestartController, State
from adaptive_dropout.controllers.base import check_controller
from adaptive_dropout.conversion.found import find
from adaptive_dropout.conversion.swap import adapt
from adaptive_dropout.rates import ScheduledRate, SettableRate, get_rates, named_rates
from adaptive_dropout.steering import ControlLoop
from adaptive_dropout.tracking.names import decision_metrics, rate_keys

__all__ = ["AdaptiveDropoutCallback"]


class AdaptiveDropoutCallback(TrainerCallback):
    """Finds the dropout of the Trainer's model, steers its rates, and leaves the best weights in the model.

    Call ``trainer.add_callback(AdaptiveDropoutCallback(trainer))`` before ``train()``. The controller gets
    ``train_loss`` (the mean of the losses that the Trainer logged since the last decision, with dropout on),
    ``val_loss`` (the ``monitor``), ``step``, ``total_steps``, ``epoch``, every other metric by its name and, if it
    asks, the clean loss. Scheduled rates follow the Trainer's steps.

    Each decision is a line of ``decisions.jsonl`` in ``output_dir``, which `adaptive_dropout.tracking.read_run` and
    ``adaptive-dropout replay`` and ``report`` read. Rates and decisions also go into the Trainer's log, as
    ``dropout/<rate>`` and ``dropout_control/<name>``, and so to its reporters. The Trainer logs its loss before each
    evaluation and each checkpoint.

    A rewind restores weights, buffers and optimizer state when the next step begins. The Trainer's checkpoints hold the
    state and the decisions in their ``trainer_state.json`` and the weights to go back to in a file of their own; a run
    resumed from one goes on as the unbroken one. Weights that ``load_best_model_at_end`` loads are left alone.

    Args:
        trainer: the Trainer that the callback is added to.
        controller: the rule; `RestartController` by default.
        monitor: the metric that is the validation loss, to be minimised.
        folder: as in `DropoutRateControl`.

    Raises:
        TypeError: ``controller`` is not a Controller.
        ValueError: the controller needs a signal that is measured in Lightning only. When training begins: nothing
            drops in the model, nothing evaluates it, it is sharded, or the monitor is not a loss.
        FileNotFoundError: the best weights of a resumed run are not in its checkpoint in ``output_dir``.

    A run that trains is never stopped: where nothing can be decided, the rates stay, and one warning says so.
    """

    loop: ControlLoop | None
    """Decides, restores, sets the rates and writes the file; None before training, and where no rate can be set."""

    def __init__(
        self,
        trainer: Trainer,
        controller: Controller | None = None,
        monitor: str = "eval_loss",
        folder: str | Path | None = None,
    ) -> None:
        self.controller = check_controller(RestartController() if controller is None else controller)
        if other := self.controller.needs() - {"clean_loss", "snapshot"}:
            raise ValueError(
                f"the controller needs {sorted(other)}, measured in Lightning only; use RestartController()"
            )
        self.trainer = trainer
        self.monitor = monitor
        self.folder = folder
        self._begin()

    def _begin(self) -> None:
        self.loop = None
        self._scheduled: list[ScheduledRate] = []
        self._loss = LoggedLoss()
        self._clean = TrainerCleanLoss(self.trainer) if "clean_loss" in self.controller.needs() else None
        self._decided_at = 0
        self._warned_of_monitor = False

    @property
    def state(self) -> State | None:
        """The last decision and the controller's memory; None before training, and where no rate can be set."""
        return None if self.loop is None else self.loop.state

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Make the dropout of the model adjustable, and start where the rule does, or from the checkpoint."""
        model: nn.Module = run["model"]
        self._begin()
        adapt(model, find(model))
        check_run(self.trainer, model, self.monitor, "snapshot" in self.controller.needs())
        self._loss.start(state.global_step)
        self._scheduled = [rate for _, rate in named_rates(model, ScheduledRate)]
        for rate in self._scheduled:
            rate.resolve(state.max_steps)
        if any(named_rates(model, SettableRate)):
            self._start(args, state, run)

    def _start(self, args: TrainingArguments, state: TrainerState, run: dict[str, Any]) -> None:
        self.loop = loop = ControlLoop(
            self.controller, run["model"], _unwrap(run["optimizer"]), folder=self.folder,
            passes=float(state.num_train_epochs), share=lambda decided: broadcast_object_list([decided])[0],
            warn=_warn if args.should_save else _ignore,
        )  # fmt: skip
        saved = kept_in(state).get(self._key)
        if saved is None:
            loop.run.monitor, loop.run.step = self.monitor, state.global_step
        else:
            self._loss.load_state_dict(saved["loss"])
            self._decided_at = saved["decided_at"]
            snapshots = load_snapshots(args, state) if "snapshot" in self.controller.needs() else None
            loop.load_state_dict({**saved["loop"], "snapshots": snapshots})
            if self._clean is not None and saved["clean"] is not None:
                self._clean.load_state_dict(saved["clean"])
        if args.should_save:
            loop.record_in(str(args.output_dir))
        if self._clean is not None:
            self._clean.start(run["train_dataloader"], examples_between(args, state, run["train_dataloader"]))

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Carry out a rewind that waits, and move scheduled rates."""
        if self.loop is not None:
            self.loop.before_step()
        for rate in self._scheduled:
            rate.set_step(state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any
    ) -> TrainerControl:
        """Have the Trainer log its training loss before an evaluation or a checkpoint needs it."""
        control.should_log |= control.should_evaluate or control.should_save
        return control

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any
    ) -> TrainerControl:
        """Have the Trainer log its training loss before an evaluation or a checkpoint needs it."""
        return self.on_step_end(args, state, control)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Take in the training loss, and log the scheduled rates of that step."""
        if "loss" not in run["logs"]:
            return
        self._loss.add(run["logs"]["loss"], state.global_step)
        self._keep(state)
        if rates := get_rates(run["model"], ScheduledRate):
            keys = rate_keys(rates)
            self.trainer.log({keys[name]: p for name, p in rates.items()})

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Measure, decide, log. An evaluation without a step before it decides nothing."""
        metrics = run["metrics"]
        if self.loop is None or not self.trainer.is_in_train or state.global_step == self._decided_at:
            return
        if self.monitor not in metrics:
            self._warn_of_monitor(metrics)
            return
        self._decided_at = state.global_step
        signals = self._measure(state, metrics)
        decided = self.loop.decide(signals)
        self._loss.reset()
        if self._clean is not None:
            self._clean.on_decision(decided)
        self._keep(state)
        self.trainer.log(decision_metrics(decided, signals, metrics))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Put the weights to rewind to in the checkpoint."""
        if self.loop is not None and args.should_save and (snapshots := self.loop.state_dict()["snapshots"]):
            save_snapshots(args, state, snapshots)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Leave the best weights in the model, unless the Trainer loads those of its best checkpoint."""
        if self.loop is not None:
            (self.loop.close if args.load_best_model_at_end else self.loop.finish)()

    @property
    def _key(self) -> str:
        # Not the name of the class: under that the Trainer itself would make a new callback, without its arguments.
        return f"adaptive_dropout/{self.monitor}"

    def _measure(self, state: TrainerState, metrics: dict[str, Any]) -> dict[str, float]:
        numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, (int, float))}
        signals = numbers | {"val_loss": numbers[self.monitor], "step": state.global_step}
        signals |= {"total_steps": state.max_steps, "epoch": float(state.epoch or 0)} | self._loss.signals()
        return signals if self._clean is None else signals | self._clean.signals(signals["val_loss"])

    def _keep(self, state: TrainerState) -> None:
        """Write the JSON part of a checkpoint into the Trainer's state."""
        if self.loop is not None:
            kept_in(state)[self._key] = {
                "loop": self.loop.json_dict(),
                "loss": self._loss.state_dict(),
                "clean": self._clean and self._clean.state_dict(),
                "decided_at": self._decided_at,
            }

    def _warn_of_monitor(self, metrics: dict[str, Any]) -> None:
        if not self._warned_of_monitor:
            self._warned_of_monitor = True
            named = f"monitor {self.monitor!r} is in no evaluation yet; the metrics are {sorted(metrics)}"
            warnings.warn(f"{named}; until it is, the rates stay as they are", stacklevel=2)


def _unwrap(optimizer: Any) -> Optimizer:
    """Return torch's optimizer, without the wrapper of accelerate, which does not always clear gradients."""
    plain: Optimizer = getattr(optimizer, "optimizer", optimizer)
    return plain


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=2)


def _ignore(line: str) -> None:
    """The first process warns for all."""
