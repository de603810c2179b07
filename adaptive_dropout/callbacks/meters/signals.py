"""The signals of a Lightning run: logged metrics, the position in the run and what meters measure.

They are numbers that are the same on every process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import lightning.pytorch as L
import torch

from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.clean_loss import CleanLossMeter
from adaptive_dropout.callbacks.meters.hypergradient import HypergradientMeter
from adaptive_dropout.callbacks.meters.monitored import Monitored
from adaptive_dropout.callbacks.meters.response import ResponseMeter
from adaptive_dropout.callbacks.meters.train_loss import TrainLossMeter
from adaptive_dropout.callbacks.trainer import known_steps, steps_done

__all__ = ["Meters", "average", "measure", "run_metrics", "run_position"]

ASKED_FOR: Mapping[str, type[Meter]] = {
    "clean_loss": CleanLossMeter,
    "hypergradient": HypergradientMeter,
    "response": ResponseMeter,
}


class Meters:
    """The meter of the training loss, which is free, and one for each of the ``needs`` of a controller.

    Args:
        monitored: as in `Meter`.
        needs: what the controller asks for.

    Raises:
        ValueError: nothing measures one of the needs.
    """

    def __init__(self, monitored: Monitored, needs: frozenset[str]) -> None:
        known = {*ASKED_FOR, "snapshot"}
        if unknown := needs - known:
            raise ValueError(
                f"the controller needs {sorted(unknown)}, but only {sorted(known)} can be measured or kept"
            )
        asked = {name: meter(monitored) for name, meter in ASKED_FOR.items() if name in needs}
        self._meters: dict[str, Meter] = {"train_loss": TrainLossMeter(monitored), **asked}

    def __iter__(self) -> Iterator[Meter]:
        return iter(self._meters.values())

    def signals(self, trainer: L.Trainer, pl_module: L.LightningModule, known: Mapping[str, float]) -> dict[str, float]:
        """Return ``known`` with what all meters measured; each is given the signals of those before it."""
        signals = dict(known)
        for meter in self:
            measured = {**signals, **meter.signals(trainer, pl_module, signals)}
            signals = {name: value for name, value in measured.items() if value is not None}
        return signals

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each meter, by name."""
        return {name: meter.state_dict() for name, meter in self._meters.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let each meter go on from where `state_dict` was taken."""
        for name, meter in self._meters.items():
            if name in state:  # another rule may have asked for other meters
                meter.load_state_dict(state[name])


def run_metrics(trainer: L.Trainer, monitored: Monitored) -> dict[str, float]:
    """Return every metric of this validation by name, and ``val_loss`` for the monitored one, which it logged."""
    assert monitored.name is not None
    # Lightning's own train_loss is of the last step or the epoch before: never let it pass for ours.
    signals = {name: float(value) for name, value in trainer.callback_metrics.items() if name != "train_loss"}
    return signals | {"val_loss": monitored.loss(signals[monitored.name])}


def run_position(trainer: L.Trainer) -> dict[str, float]:
    """Return ``step``, ``epoch`` and, for a run whose end is known, ``total_steps``."""
    position: dict[str, float] = {"step": steps_done(trainer), "epoch": trainer.current_epoch}
    total = known_steps(trainer)
    return position if total is None else position | {"total_steps": total}


def measure(
    trainer: L.Trainer, pl_module: L.LightningModule, meters: Meters, known: dict[str, float]
) -> dict[str, float]:
    """Return ``known`` with the `average` of what ``meters`` measure; ``known`` alone where its loss is not finite."""
    if not math.isfinite(known["val_loss"]):
        return known
    return average(trainer, meters.signals(trainer, pl_module, known))


def average(trainer: L.Trainer, signals: dict[str, float]) -> dict[str, float]:
    """Return the mean over the processes of each signal that all of them have; every process has to call it."""
    if trainer.world_size == 1:
        return signals
    names = trainer.strategy.broadcast(list(signals))
    rows = [[signals.get(name, 0.0) for name in names], [float(name in signals) for name in names]]
    local = torch.tensor(rows, dtype=torch.float64, device=trainer.strategy.root_device)
    sums, counts = trainer.strategy.reduce(local, reduce_op="sum").tolist()
    everywhere = [count == trainer.world_size for count in counts]
    return {name: total / trainer.world_size for name, total, kept in zip(names, sums, everywhere, strict=True) if kept}
