"""Writes a run's decisions down: in every logger, in a file of its own, and what only W&B can show."""

from __future__ import annotations

import uuid
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_warn

from adaptive_dropout.callbacks.deciding import decision_metrics
from adaptive_dropout.callbacks.packages import both
from adaptive_dropout.callbacks.trainer import run_dir, steps_done
from adaptive_dropout.controllers import Controller, State, controller_to_dict, state_to_dict
from adaptive_dropout.tracking.decisions_file import FILE, DecisionsFile
from adaptive_dropout.tracking.run import Decision, Run
from adaptive_dropout.tracking.wandb.run import begin_wandb, decision_media, finish_wandb

__all__ = ["Record"]

UNKNOWN = "the validation loss"


class Record:
    """The decisions of one run: ``decisions.jsonl`` in its folder, and the loggers. The first process writes.

    A folder that cannot be written to is one warning; training goes on.

    ``run`` is what was decided so far, None before training.

    Args:
        controller: the rule.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller_to_dict(controller)
        self.run: Run | None = None
        self._trace: DecisionsFile | None = None

    def start(self, trainer: L.Trainer, state: State, monitor: str | None) -> None:
        """Begin with ``state``, or go on with what a checkpoint held.

        Args:
            trainer: of the run.
            state: the rates that it begins with.
            monitor: the metric that it is steered by; None where a validation has yet to show it.
        """
        if self.run is None:
            rates, stored = dict(state.rates), state_to_dict(state)
            self.run = Run(uuid.uuid4().hex, self._controller, monitor or UNKNOWN, rates, stored, steps_done(trainer))
        if not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        try:
            self._trace = DecisionsFile(run_dir(trainer), self.run)
        except OSError as error:
            _warn(error)
        for logger in _wandb_loggers(trainer):
            begin_wandb(logger.experiment, self.run)

    def add(self, trainer: L.Trainer, before: State, state: State, signals: dict[str, float]) -> None:
        """Write down that ``signals`` led from ``before`` to ``state``."""
        assert self.run is not None
        decision = Decision(
            int(signals["step"]), signals, before.rates, state.rates,
            state.improved, state.rewind, state.restart, state.reason,
        )  # fmt: skip
        self.run.decisions.append(decision)
        line = decision.to_line()
        self._append(line)
        # LightningModule.log is refused here; global_step would put the point one to the right of the training step's.
        step = trainer.fit_loop.epoch_loop._batches_that_stepped
        numbers = decision_metrics(state, signals, trainer.callback_metrics)
        for logger in trainer.loggers:
            media = decision_media(state.rates, line) if isinstance(logger, both(WandbLogger)) else {}
            logger.log_metrics(numbers | media, step=step)

    def finish(self, trainer: L.Trainer, cost_ratio: float) -> None:
        """Close the file, and give W&B the summary, the table and the figure of the run so far."""
        if self._trace is not None:
            self._trace.close()
            self._trace = None
        if self.run is None or not trainer.is_global_zero:
            return
        for logger in _wandb_loggers(trainer):
            from adaptive_dropout.plots import run_figure

            figure = run_figure(self.run.history(), rewinds=self.run.rewinds())
            finish_wandb(logger.experiment, self.run, cost_ratio, figure)

    def state_dict(self) -> dict[str, Any]:
        """Return the run so far in JSON types."""
        if self.run is None:
            return {}
        return self.run.header() | {"decisions": [decision.to_dict() for decision in self.run.decisions]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        if state:
            decisions = [Decision.from_dict(decision) for decision in state["decisions"]]
            self.run = Run(**state | {"decisions": decisions})

    def _append(self, line: str) -> None:
        if self._trace is None:
            return
        try:
            self._trace.add(line)
        except OSError as error:
            _warn(error)
            self._trace.close()
            self._trace = None


def _wandb_loggers(trainer: L.Trainer) -> list[WandbLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, both(WandbLogger))]


def _warn(error: OSError) -> None:
    rank_zero_warn(f"decisions are not written to {FILE} ({error}); training goes on without it")
