"""Signals over the processes of a run: one number for all of them, from those that have one, weighted by examples.

Every process has to call each function at the same place of the run, as with any collective.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from adaptive_dropout.callbacks.trainer import private
from adaptive_dropout.transfer import read_numbers

__all__ = ["average", "count_and_first", "examples_of", "is_skipped_somewhere"]


def average(
    trainer: L.Trainer, signals: Mapping[str, float], weights: Mapping[str, float], weight: float = 1.0, first: int = 0
) -> dict[str, float]:
    """Return the weighted mean over the processes of each signal that all of those have which should have it.

    Args:
        trainer: of the run.
        signals: of this process.
        weights: of those signals that do not have the common weight.
        weight: of all other signals. A process whose weight is 0 need not have them; what it has is left out.
        first: the process whose signals are taken; others that only other processes have are left out.
    """
    if trainer.world_size == 1:
        return dict(signals)
    names: list[str] = trainer.strategy.broadcast(list(signals), first)
    share = [weights.get(name, weight) if name in signals else 0.0 for name in names]
    sums = [each * signals[name] if each else 0.0 for name, each in zip(names, share, strict=True)]
    lacks = [float(name not in signals and weight > 0.0) for name in names]
    local = torch.tensor([sums, share, lacks], dtype=torch.float64, device=trainer.strategy.root_device)
    rows = zip(names, *_sum(trainer, local).tolist(), strict=True)
    return {name: total / shares for name, total, shares, lacking in rows if shares and not lacking}


def count_and_first(trainer: L.Trainer, has: bool) -> tuple[int, int]:
    """Return how many processes say that they have something, and the first of them; 0 and 0 if none has."""
    local = torch.zeros(trainer.world_size, dtype=torch.float64, device=trainer.strategy.root_device)
    local[trainer.global_rank] = float(has)
    having = (local if trainer.world_size == 1 else _sum(trainer, local)).tolist()
    return int(sum(having)), having.index(1.0) if any(having) else 0


def examples_of(trainer: L.Trainer, logged: Mapping[str, Any]) -> dict[str, float]:
    """Return over how many examples each metric is a mean of this process alone, for those that are one.

    Others are Lightning's or torchmetrics' own result for all processes (``sync_dist=True``, metric objects), or a sum
    or an extreme.

    Args:
        trainer: of the run; on one process nothing is asked.
        logged: how each metric was logged, as `logged_metrics` returns it.
    """
    if trainer.world_size == 1:
        return {}
    means = {name: item for name, item in logged.items() if item.is_tensor and item.meta.is_mean_reduction}
    alone = {name: item.cumulated_batch_size for name, item in means.items() if not item.meta.sync.should}
    return dict(zip(alone, read_numbers(list(alone.values())), strict=True))


def is_skipped_somewhere(trainer: L.Trainer, pl_module: L.LightningModule) -> bool:
    """Tell whether Lightning skips every validation in a process whose loaders say that they are empty.

    It then calls no hook there, so that the other processes would wait for it in a decision. Call it when training
    starts. Lightning allows such loaders only where the module or the data module says so.
    """
    allowed = "allow_zero_length_dataloader_with_multiple_devices"
    owners = (pl_module, getattr(trainer, "datamodule", None))
    if trainer.world_size == 1 or not any(getattr(owner, allowed, False) for owner in owners):
        return False
    if trainer.val_dataloaders is None:  # the first epoch does not validate: Lightning does this before one that does
        trainer.validating = True
        trainer.fit_loop.epoch_loop.val_loop.setup_data()
        trainer.training = True
    validating, _ = count_and_first(trainer, not private(trainer.fit_loop.epoch_loop.val_loop, "skip"))
    return validating < trainer.world_size


def _sum(trainer: L.Trainer, local: Tensor) -> Tensor:
    summed = trainer.strategy.reduce(local, reduce_op="sum")
    assert isinstance(summed, Tensor)
    return summed
