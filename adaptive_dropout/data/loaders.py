"""Batches in an order of their own: which example comes when depends on the data's seed, not on torch's global one.

A loader without a generator draws from the global one at every epoch and at every validation, so the dropout masks
of a run would depend on how often it validates.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, cast

import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from adaptive_dropout.checks import check_count
from adaptive_dropout.data.resumable import ResumableLoader, continue_order

__all__ = ["Draws", "SeededLoaders", "silence", "unsilence"]

ADVICE = (
    r"The '\w+' does not have many workers",
    r"The number of training batches \(\d+\) is smaller than the logging interval",
)
"""Advice of Lightning's that is wrong for data in memory.

Worker processes would only copy tensors to and fro, and in every small data set an epoch is shorter than the logging
interval.
"""


class SeededLoaders:
    """Makes the three loaders of a data module; its state is the place in the sequence of training orders.

    A run that is resumed from a Lightning checkpoint, in the middle of an epoch too, goes on with the batches of the
    unbroken one. The last batch is kept although it may be smaller. On several devices Lightning replaces this order by
    its own distributed sampler, seeded by ``seed_everything``.

    Args:
        batch_size: examples in a batch, at least 1.
        seed: fixes the training order of every epoch.
        options: further arguments for every ``DataLoader``, such as ``num_workers`` or ``collate_fn``.

    Raises:
        TypeError: ``batch_size`` is not an integer.
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
        """Return the training batches: in a new order for each epoch."""
        return ResumableLoader(dataset, self.batch_size, shuffle=True, generator=self._order, **self.options)

    def in_order(self, dataset: Dataset[Any]) -> DataLoader[Any]:
        """Return batches in the order of ``dataset``, the same each time."""
        apart = torch.Generator().manual_seed(self._seed)
        return DataLoader(dataset, self.batch_size, generator=apart, **self.options)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state of the training order's generator, as bytes."""
        return {"order": self._order.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue with the training orders that follow ``state``."""
        continue_order(self._order, state, "order")


class Draws(Sampler[int]):
    """``length`` integers in 0 ... ``n`` - 1, drawn uniformly with replacement, new ones for each iteration.

    They serve where there are too many examples, or too many alike, to use all of them in an epoch. All are drawn at
    once when an iteration begins. On several devices Lightning shares them out.

    Args:
        n: how many integers there are to draw from, at least 1.
        length: how many are drawn.
        generator: draws them; its state is the place in the sequence of draws.
    """

    # Not torch's RandomSampler: on several devices Lightning replaces it by one that goes through all examples.
    def __init__(self, n: int, length: int, generator: torch.Generator) -> None:
        self.n = n
        self.length = length
        self.generator = generator

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        numbers: list[int] = torch.randint(self.n, (self.length,), generator=self.generator).tolist()
        return iter(numbers)


def silence() -> None:
    """Ignore Lightning's `ADVICE` until `unsilence`, so that a slow loader used afterwards is still advised.

    Calling it again changes nothing.
    """
    for message in ADVICE:
        warnings.filterwarnings("ignore", message, PossibleUserWarning)
        entry = _filters()[0]
        if PossibleUserWarning not in entry:
            raise RuntimeError(f"Python puts new filters of warnings elsewhere: the first one is {entry}")
        if entry not in _OURS:
            _OURS.append(entry)


def unsilence() -> None:
    """Remove exactly the filters of `silence`, whatever else was added since."""
    # Not catch_warnings: it would also drop the filters that libraries imported during the run have added.
    for entry in _OURS:
        if entry in _filters():
            _filters().remove(entry)
    _OURS.clear()


_OURS: list[tuple[Any, ...]] = []


def _filters() -> list[tuple[Any, ...]]:
    return cast("list[tuple[Any, ...]]", warnings.filters)
