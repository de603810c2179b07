"""`AdaptiveDropoutCallback`: measures at each evaluation of transformers' Trainer, decides, carries out, logs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from torch import nn
from torch.optim import Optimizer
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from adaptive_dropout.callbacks.deciding import begun, decision_metrics, why_undecided
from adaptive_dropout.callbacks.rewinder import Rewinder
from adaptive_dropout.callbacks.transformers.checkpoint import kept_in, load_snapshots, save_snapshots
from adaptive_dropout.callbacks.transformers.checks import check_run, examples_between
from adaptive_dropout.callbacks.transformers.clean_loss import TrainerCleanLoss
from adaptive_dropout.callbacks.transformers.loss import LoggedLoss
from adaptive_dropout.controllers import Controller, RewindController, State, state_from_dict, state_to_dict
from adaptive_dropout.controllers.base import check_controller, decide
from adaptive_dropout.conversion.found import find
from adaptive_dropout.conversion.swap import adapt
from adaptive_dropout.rates import ScheduledRate, SettableRate, get_rates, named_rates, set_rates, set_step
from adaptive_dropout.tracking.names import rate_keys

__all__ = ["AdaptiveDropoutCallback"]


class AdaptiveDropoutCallback(TrainerCallback):
    """Finds the dropout of the Trainer's model, steers its rates, and leaves the best weights in the model.

    ``trainer.add_callback(AdaptiveDropoutCallback(trainer))`` before ``train()``; it is given the trainer for its log
    and its loss. The controller gets ``train_loss`` (the mean of what the Trainer logged since the last decision, with
    dropout on), ``val_loss`` (the ``monitor``), ``step``, ``total_steps``, ``epoch``, every other metric by its name
    and, if it asks, the clean loss. Rates and decisions go into the Trainer's log, as ``dropout/<rate>`` and
    ``dropout_control/<name>``, and so to what it reports to; before an evaluation or a checkpoint it logs its loss.
    Scheduled rates follow the Trainer's steps.

    A rewind restores weights, buffers and optimizer state when the next step begins. The Trainer's checkpoints hold the
    state in their ``trainer_state.json`` and what can be rewound to in a file of their own; a run resumed from one goes
    on as the unbroken one. Weights that ``load_best_model_at_end`` loads are left alone.

    Args:
        trainer: which it is added to.
        controller: the rule; `RewindController` by default.
        monitor: the metric that is the validation loss, to be minimised.
        folder: as in `DropoutRateControl`.

    Raises:
        TypeError: ``controller`` is no Controller.
        ValueError: the controller needs a signal that is measured in Lightning only. When training begins: nothing
            drops in the model, nothing evaluates it, it is sharded, or the monitor is no loss.
        FileNotFoundError: a run is resumed whose best weights are not beside its checkpoint, in ``output_dir``.

    A run that trains is never stopped: where nothing can be decided, the rates stay, and that is said once.
    """

    state: State | None
    """The last decision and the controller's memory; None before training, and where no rate can be set."""

    def __init__(
        self,
        trainer: Trainer,
        controller: Controller | None = None,
        monitor: str = "eval_loss",
        folder: str | Path | None = None,
    ) -> None:
        self.controller = check_controller(RewindController() if controller is None else controller)
        if other := self.controller.needs() - {"clean_loss", "snapshot"}:
            raise ValueError(
                f"the controller needs {sorted(other)}, measured in Lightning only; use RewindController()"
            )
        self.trainer = trainer
        self.monitor = monitor
        self.folder = folder
        self._begin()

    def _begin(self) -> None:
        needs = self.controller.needs()
        self.state = None
        self._loss = LoggedLoss()
        self._clean = TrainerCleanLoss(self.trainer) if "clean_loss" in needs else None
        self._rewinder = Rewinder(self.folder) if "snapshot" in needs else None
        self._decided_at = 0
        self._said: set[str] = set()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Make the dropout of the model adjustable, and start from its rates or from the checkpoint's."""
        model: nn.Module = run["model"]
        self._begin()
        adapt(model, find(model))
        check_run(self.trainer, model, self.monitor, self._rewinder is not None)
        self._loss.start(state.global_step)
        for _, rate in named_rates(model, ScheduledRate):
            rate.resolve(state.max_steps)
        if rates := get_rates(model, SettableRate):
            self._start(args, state, rates, run)

    def _start(
        self, args: TrainingArguments, state: TrainerState, rates: dict[str, float], run: dict[str, Any]
    ) -> None:
        saved = kept_in(state).get(self._key)
        if saved is not None:
            self._loss.load_state_dict(saved["loss"])
            self._decided_at = saved["decided_at"]
        if saved is not None and self._clean is not None:
            self._clean.load_state_dict(saved["clean"])
        self.state = begun(self.controller, saved and state_from_dict(self.controller, saved["state"]), rates)
        set_rates(run["model"], self.state.rates)
        if self._rewinder is not None:
            if saved is not None:
                self._rewinder.load_state_dict(load_snapshots(args, state))
            self._rewinder.start(run["model"], [_plain(run["optimizer"])])
        if self._clean is not None:
            self._clean.start(run["train_dataloader"], examples_between(args, state, run["train_dataloader"]))

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Go back where the last decision said so, and move scheduled rates."""
        if self._rewinder is not None and self.state is not None:
            self._rewinder.settle()
        if any(named_rates(run["model"], ScheduledRate)):
            set_step(run["model"], state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any
    ) -> TrainerControl:
        """Have the training loss logged before what it is needed for."""
        control.should_log |= control.should_evaluate or control.should_save
        return control

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any
    ) -> TrainerControl:
        """Have the training loss logged before what it is needed for."""
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
        """Measure, decide, carry out, log; an evaluation without a step before it decides nothing."""
        metrics = run["metrics"]
        if self.state is None or not self.trainer.is_in_train or state.global_step == self._decided_at:
            return
        if self.monitor not in metrics:
            named = f"monitor {self.monitor!r} is in no evaluation yet; the metrics are {sorted(metrics)}"
            self._say_once(f"{named}; until it is, the rates stay as they are", self.monitor)
            return
        signals = self._signals(state, metrics)
        (self.state,) = broadcast_object_list([decide(self.controller, self.state, signals)])
        if why := why_undecided(self.state, signals):
            self._say_once(why, self.state.reason)
        self._decided_at = state.global_step
        self._loss.reset()
        if self._clean is not None:
            self._clean.decided(self.state)
        if self._rewinder is not None:
            self._rewinder.carry_out(self.state)
        set_rates(run["model"], self.state.rates)
        self._keep(state)
        self.trainer.log(decision_metrics(self.state, signals, metrics))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Put what can be rewound to beside the weights."""
        if self._rewinder is not None and self.state is not None and args.should_save:
            save_snapshots(args, state, self._rewinder.state_dict())

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **run: Any) -> None:
        """Leave the best weights in the model."""
        if self._rewinder is not None and self.state is not None and not args.load_best_model_at_end:
            self._rewinder.finish()

    def _say_once(self, what: str, about: str) -> None:
        if about not in self._said:
            self._said.add(about)
            warnings.warn(what, stacklevel=2)

    @property
    def _key(self) -> str:
        # Not the name of the class: under that the Trainer itself would make a new callback, without its arguments.
        return f"adaptive_dropout/{self.monitor}"

    def _signals(self, state: TrainerState, metrics: dict[str, Any]) -> dict[str, float]:
        numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, (int, float))}
        signals = numbers | {"val_loss": numbers[self.monitor], "step": state.global_step}
        signals |= {"total_steps": state.max_steps, "epoch": float(state.epoch or 0)} | self._loss.signals()
        return signals if self._clean is None else signals | self._clean.signals(signals["val_loss"])

    def _keep(self, state: TrainerState) -> None:
        """Write what a checkpoint has to hold into the Trainer's state."""
        if self.state is not None:
            kept_in(state)[self._key] = {
                "state": state_to_dict(self.state),
                "loss": self._loss.state_dict(),
                "clean": self._clean and self._clean.state_dict(),
                "decided_at": self._decided_at,
            }


def _plain(optimizer: Any) -> Optimizer:
    """Return torch's optimizer, without what accelerate wraps around it, which does not always clear gradients."""
    plain: Optimizer = getattr(optimizer, "optimizer", optimizer)
    return plain
