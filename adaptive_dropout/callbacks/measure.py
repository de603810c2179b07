"""The signals that every Lightning run has, as numbers that are the same on every process."""

from __future__ import annotations

import math

import lightning.pytorch as L
import torch

from adaptive_dropout.callbacks.run_length import known_steps, steps_done

__all__ = ["averaged", "batches_between_validations", "run_metrics", "run_position"]


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


def averaged(trainer: L.Trainer, signals: dict[str, float]) -> dict[str, float]:
    """Return the mean of each signal over the processes."""
    if trainer.world_size == 1:
        return signals
    local = torch.tensor(list(signals.values()), dtype=torch.float64, device=trainer.strategy.root_device)
    means = trainer.strategy.reduce(local, reduce_op="mean")
    return dict(zip(signals, means.tolist(), strict=True))


def batches_between_validations(trainer: L.Trainer) -> int:
    """Return how many training batches one validation interval has; a million where time decides."""
    between = float(trainer.val_check_batch or math.inf) * (trainer.check_val_every_n_epoch or 1)
    return 10**6 if math.isinf(between) else max(1, int(between))
