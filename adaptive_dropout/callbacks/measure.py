"""The signals of a Lightning run, as numbers that are the same on every process."""

from __future__ import annotations

import math

import lightning.pytorch as L
import torch

from adaptive_dropout.callbacks.averages import as_validated
from adaptive_dropout.callbacks.meters import Meters
from adaptive_dropout.callbacks.run_length import known_steps, steps_done

__all__ = ["averaged", "measured", "run_metrics", "run_position"]


def run_metrics(trainer: L.Trainer, monitor: str) -> dict[str, float]:
    """Return every metric of this validation by name, and ``val_loss`` for the monitor.

    Raises:
        KeyError: the monitor is not logged.
    """
    metrics = trainer.callback_metrics
    if monitor not in metrics:
        raise KeyError(f"monitor {monitor!r} is not logged; the metrics at validation are {sorted(metrics)}")
    # Lightning's own train_loss is of the last step or the epoch before: never let it pass for ours.
    signals = {name: float(value) for name, value in metrics.items() if name != "train_loss"}
    return signals | {"val_loss": signals[monitor]}


def run_position(trainer: L.Trainer) -> dict[str, float]:
    """Return ``step``, ``epoch`` and, for a run whose end is known, ``total_steps``."""
    position: dict[str, float] = {"step": steps_done(trainer), "epoch": trainer.current_epoch}
    total = known_steps(trainer)
    return position if total is None else position | {"total_steps": total}


def measured(trainer: L.Trainer, pl_module: L.LightningModule, meters: Meters, val_loss: float) -> dict[str, float]:
    """Return what ``meters`` measure, `averaged`; nothing where ``val_loss``, of all processes, is NaN or infinite."""
    if not math.isfinite(val_loss):
        return {}
    with as_validated(trainer, pl_module):
        signals = meters.signals(trainer, pl_module, val_loss)
    return averaged(trainer, signals)


def averaged(trainer: L.Trainer, signals: dict[str, float]) -> dict[str, float]:
    """Return the mean over the processes of each signal that all of them have; every process has to ask for it."""
    if trainer.world_size == 1:
        return signals
    names = trainer.strategy.broadcast(list(signals))
    rows = [[signals.get(name, 0.0) for name in names], [float(name in signals) for name in names]]
    local = torch.tensor(rows, dtype=torch.float64, device=trainer.strategy.root_device)
    sums, counts = trainer.strategy.reduce(local, reduce_op="sum").tolist()
    everywhere = [count == trainer.world_size for count in counts]
    return {name: total / trainer.world_size for name, total, kept in zip(names, sums, everywhere, strict=True) if kept}
