"""The signals of a Lightning run, as numbers that are the same on every process."""

from __future__ import annotations

import math

import lightning.pytorch as L
import torch

from adaptive_dropout.callbacks.meters.meters import Meters
from adaptive_dropout.callbacks.meters.monitored import Monitored
from adaptive_dropout.callbacks.trainer import known_steps, steps_done

__all__ = ["average", "measure", "run_metrics", "run_position"]


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
    """Return ``known`` with what ``meters`` measure, `average`; ``known`` alone where its loss is not finite."""
    if not math.isfinite(known["val_loss"]):
        return known
    return average(trainer, meters.signals(trainer, pl_module, known))


def average(trainer: L.Trainer, signals: dict[str, float]) -> dict[str, float]:
    """Return the mean over the processes of each signal that all of them have; every process has to ask for it."""
    if trainer.world_size == 1:
        return signals
    names = trainer.strategy.broadcast(list(signals))
    rows = [[signals.get(name, 0.0) for name in names], [float(name in signals) for name in names]]
    local = torch.tensor(rows, dtype=torch.float64, device=trainer.strategy.root_device)
    sums, counts = trainer.strategy.reduce(local, reduce_op="sum").tolist()
    everywhere = [count == trainer.world_size for count in counts]
    return {name: total / trainer.world_size for name, total, kept in zip(names, sums, everywhere, strict=True) if kept}
