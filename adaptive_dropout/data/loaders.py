"""Batches in an order of their own: which example comes when depends on the data's seed, not on torch's global one.

A loader without a generator draws from the global one at every epoch and at every validation, so the dropout masks
of a run would depend on how often it validates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from adaptive_dropout.checks import check_count

__all__ = ["SeededLoaders"]


class SeededLoaders:
    """Makes the three loaders of a data module; its state is the place in the sequence of training orders.

    Restoring the state at an epoch boundary gives the next epoch the order that it has in an unbroken run.
    The last batch is kept although it may be smaller. On several devices Lightning puts its own distributed sampler
    in place of this order, seeded by ``seed_everything``.

    Args:
        batch_size: examples in a batch, at least 1.
        seed: fixes the training order of every epoch.
        options: what every ``DataLoader`` gets besides, such as ``num_workers`` or ``collate_fn``.

    Raises:
        TypeError: ``batch_size`` is no integer.
        ValueError: ``batch_size`` is less than 1, or ``seed`` is outside 0 ... 2**32 - 1.
    """

    def __init__(self, batch_size: int, seed: int, **options: Any) -> None:
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed has to be between 0 and 2**32 - 1, but got {seed}")
        self.batch_size = check_count(batch_size, "batch_size")
        self.options = options
        self._seed = seed
        self._order = torch.Generator().manual_seed(seed)

    def shuffled(self, dataset: Dataset[Any]) -> DataLoader[Any]:
        """Return the training batches: a new order each time they are walked through."""
        return DataLoader(dataset, self.batch_size, shuffle=True, generator=self._order, **self.options)

    def in_order(self, dataset: Dataset[Any]) -> DataLoader[Any]:
        """Return batches in the order of ``dataset``, the same each time."""
        apart = torch.Generator().manual_seed(self._seed)
        return DataLoader(dataset, self.batch_size, generator=apart, **self.options)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state of the training order's generator, as bytes."""
        return {"order": self._order.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue with the training orders that follow ``state``."""
        self._order.set_state(state["order"].cpu())
