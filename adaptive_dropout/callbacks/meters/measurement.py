"""`Measurement`: all that a Lightning run measures for a controller, as signals that are the same on every process."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_warn

from adaptive_dropout.callbacks.meters.averaging import average, count_and_first, examples_of, is_skipped_somewhere
from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.batches import RunBatches
from adaptive_dropout.callbacks.meters.clean_loss import CleanLossMeter
from adaptive_dropout.callbacks.meters.hypergradient import HypergradientMeter
from adaptive_dropout.callbacks.meters.monitored import Monitored, MonitorSearch
from adaptive_dropout.callbacks.meters.response import ResponseMeter
from adaptive_dropout.callbacks.meters.train_loss import TrainLossMeter
from adaptive_dropout.callbacks.trainer import known_steps, logged_metrics, steps_done
from adaptive_dropout.controllers import State
from adaptive_dropout.transfer import read_numbers

__all__ = ["Measurement"]

METERS: Mapping[str, type[Meter]] = {
    "clean_loss": CleanLossMeter,
    "hypergradient": HypergradientMeter,
    "response": ResponseMeter,
}


class Measurement:
    """The validation loss, the training loss, the position in the run, and one meter for each need of a controller.

    ``monitored`` is the metric that is the validation loss. `DropoutRateControl` calls the hooks, named as Lightning's,
    and `measure` after each validation.

    Several processes measure on their own data. Their training losses, and the validation metrics that Lightning did
    not reduce itself, are averaged by the number of examples, all other signals equally; standard errors and z-scores
    of one process stand for all. What was logged with ``sync_dist=True``, or as a metric object, is taken as it is.
    Processes that logged nothing in a validation contribute their training loss alone.

    Args:
        monitored: as the user named it, or yet to be found.
        needs: the measurements that the controller asks for.

    Raises:
        ValueError: nothing measures one of the needs.
    """

    def __init__(self, monitored: Monitored, needs: frozenset[str]) -> None:
        known = {*METERS, "snapshot"}
        if unknown := needs - known:
            raise ValueError(
                f"the controller needs {sorted(unknown)}, but only {sorted(known)} can be measured or kept"
            )
        self.monitored = monitored
        asked = {name: meter(monitored) for name, meter in METERS.items() if name in needs}
        self._meters: dict[str, Meter] = {"train_loss": TrainLossMeter(monitored), **asked}
        self._search = MonitorSearch(monitored)
        self._batches = RunBatches()
        self._measured_at: int | None = None
        self._logged_before: dict[str, float] = {}  # of a run whose checkpoint came before a validation that was due
        self._skipped = False
        self._warned: set[str] = set()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin; a checkpoint is loaded by now."""
        self._batches.loader = self.monitored.loader
        for meter in self:
            meter.on_train_start(trainer, pl_module, self._batches)
        self._batches.watch(trainer, pl_module)
        self._skipped = is_skipped_somewhere(trainer, pl_module)
        if self._skipped:
            self._warn(
                "there is no validation data in some process, which validates nothing: the rates stay as they are"
            )

    def find_monitor(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find the monitored metric before the first batch is trained on.

        Raises:
            KeyError: the metric that the user named is not logged.
            ValueError: several metrics could be meant, or none.
        """
        self._search.before_training(trainer, pl_module, self._batches)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:
        """Show ``batch`` to the meters before it is trained on."""
        for meter in self:
            meter.on_train_batch_start(trainer, pl_module, batch)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any) -> None:
        """Show the loss of a batch to the meters."""
        self._logged_before = {}
        for meter in self:
            meter.on_train_batch_end(trainer, pl_module, outputs)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tell the meters that a validation begins; they are not told of the sanity check."""
        if _decides(trainer):
            for meter in self:
                meter.on_validation_start(trainer, pl_module)

    def on_validation_batch_start(self, trainer: L.Trainer, batch: Any, batch_idx: int) -> None:
        """Show a batch of the first loader to the meters before it is validated on."""
        if _decides(trainer):
            for meter in self:
                meter.on_validation_batch_start(trainer, batch, batch_idx)

    def on_validation_batch_end(self, trainer: L.Trainer) -> None:
        """Show the metrics that a batch logged to the meters."""
        if _decides(trainer):
            for meter in self:
                meter.on_validation_batch_end(trainer)

    def measure(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, float] | None:
        """Return the signals of the validation that ends; None where it decides nothing.

        That is in the sanity check, outside of ``fit``, without an optimizer step since the last one, or where no
        process logs the monitored metric. If ``val_loss`` is not finite, nothing else is measured.
        """
        if trainer.state.fn != "fit" or self._skipped:
            return None
        logged = logged_metrics(trainer)
        if trainer.sanity_checking:
            self._search.after_sanity_check(logged)
            return None
        missing = self._search.at_validation(trainer, logged)
        has = self.monitored.found and self.monitored.name in logged
        having, first = count_and_first(trainer, has)
        if not having:
            self._warn(missing)
            return None
        self._agree(trainer, first)
        if having < trainer.world_size:
            self._warn(f"{having} of {trainer.world_size} processes log {self.monitored.name!r}, which decide for all")
        metrics = self._logged_before | _read_metrics(trainer, self.monitored) if has else {}
        metrics = dict(sorted(metrics.items()))  # Lightning's order is that in which a run, or its rest, logged them
        signals = average(trainer, metrics, examples_of(trainer, logged), float(has), first)
        signals |= average(trainer, _read_position(trainer), {})
        if signals["step"] == self._measured_at:
            return None
        self._measured_at = int(signals["step"])
        if not math.isfinite(signals["val_loss"]):
            return signals
        sign = self.monitored.sign
        asked = self._ask_meters(trainer, pl_module, signals)
        # The meters may have found that the monitored loss is a score: as the first process has it.
        found = self.monitored.sign
        self._agree(trainer, first)
        weight = float(has and found == self.monitored.sign)
        signals = average(trainer, asked, self._examples(), weight, first)
        return signals | {"val_loss": signals["val_loss"] * sign * self.monitored.sign}

    def on_decision(self, state: State) -> None:
        """Tell the meters which decision was made."""
        for meter in self:
            meter.on_decision(state)

    def on_fit_end(self) -> None:
        """Remove from the model what measured it."""
        self._batches.unwatch()
        for meter in self:
            meter.on_fit_end()

    def logged(self, trainer: L.Trainer) -> dict[str, float]:
        """Return the metrics logged so far, for a checkpoint that is written before a validation."""
        return _read_all(trainer)

    def go_on_with(self, metrics: Mapping[str, float]) -> None:
        """Take ``metrics``, of `logged`, for what training logged before the first validation of a resumed run."""
        self._logged_before = dict(metrics)

    def lost(self) -> list[str]:
        """Return in what a resumed run is measured otherwise than the unbroken one."""
        return [lost for meter in self if (lost := meter.lost())]

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know: the monitored metric, and the state of each meter by name."""
        meters = {name: meter.state_dict() for name, meter in self._meters.items()}
        return {"monitored": self.monitored.state_dict(), "meters": meters, "measured_at": self._measured_at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.monitored.load_state_dict(state["monitored"])
        self._measured_at = state.get("measured_at")
        for name, meter in self._meters.items():
            if name in state["meters"]:  # another rule may have asked for other meters
                meter.load_state_dict(state["meters"][name])

    def __iter__(self) -> Iterator[Meter]:
        return iter(self._meters.values())

    def _agree(self, trainer: L.Trainer, first: int) -> None:
        """Take over what the process ``first`` knows of the monitored metric."""
        if trainer.world_size > 1:
            self.monitored.load_state_dict(trainer.strategy.broadcast(self.monitored.state_dict(), first))

    def _examples(self) -> dict[str, float]:
        return {name: examples for meter in self for name, examples in meter.examples().items()}

    def _warn(self, message: str) -> None:
        if message and message not in self._warned:
            self._warned.add(message)
            rank_zero_warn(message)

    def _ask_meters(
        self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]
    ) -> dict[str, float]:
        """Return ``known`` with the measurements of all meters; each is given the signals of those before it."""
        signals = dict(known)
        for meter in self:
            measured = {**signals, **meter.signals(trainer, pl_module, signals)}
            signals = {name: value for name, value in measured.items() if value is not None}
        return signals


def _decides(trainer: L.Trainer) -> bool:
    """Tell whether a decision follows this validation: it is part of ``fit``, and not the sanity check."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking


def _read_metrics(trainer: L.Trainer, monitored: Monitored) -> dict[str, float]:
    """Return every metric of this validation by name, and ``val_loss`` for the monitored one, which it logged."""
    assert monitored.name is not None
    signals = _read_all(trainer)
    return signals | {"val_loss": monitored.loss(signals[monitored.name])}


def _read_all(trainer: L.Trainer) -> dict[str, float]:
    # Lightning's own train_loss is of the last step or the epoch before: never let it pass for ours.
    metrics = {name: value for name, value in trainer.callback_metrics.items() if name != "train_loss"}
    return dict(zip(metrics, read_numbers(list(metrics.values())), strict=True))


def _read_position(trainer: L.Trainer) -> dict[str, float]:
    """Return ``step``, ``epoch`` and, for a run whose end is known, ``total_steps``."""
    position: dict[str, float] = {"step": steps_done(trainer), "epoch": trainer.current_epoch}
    total = known_steps(trainer)
    return position if total is None else position | {"total_steps": total}
