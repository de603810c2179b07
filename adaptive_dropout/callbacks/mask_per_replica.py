"""`MaskPerReplica`: the processes of a data-parallel run draw masks of their own from the one seed."""

from __future__ import annotations

import lightning.pytorch as L

from adaptive_dropout.callbacks.packages import Callback
from adaptive_dropout.noise.replica import get_replica, set_replica

__all__ = ["MaskPerReplica"]


class MaskPerReplica(Callback):
    """Let each data-parallel process draw masks of its own, as `adaptive_dropout.set_replica` does.

    Lightning seeds all processes alike, so without it the n-th example of each process loses the same units. Which
    processes belong to one replica is what the strategy says to the sampler of the data: with DDP, FSDP and DeepSpeed
    none do, with `ModelParallelStrategy` those that share its layers, which go on drawing the same masks.

    It holds from `setup` to `teardown`. On one process nothing changes.
    """

    _before: int | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Number this process by the part of the data that it gets."""
        sampler = getattr(trainer.strategy, "distributed_sampler_kwargs", None) or {}
        self._before = get_replica() if self._before is None else self._before
        set_replica(int(sampler.get("rank", 0)))

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Give the process the number back that it had."""
        if self._before is not None:
            set_replica(self._before)
            self._before = None
