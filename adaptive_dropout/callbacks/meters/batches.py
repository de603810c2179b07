"""Fixed batches of the run, to be measured again and again.

They are the first ones that left their loaders, kept in memory; no checkpoint holds them. If the training data lies in
memory, they are spread evenly over it, and a resume finds the same ones. This is done only where reading an example
has no side effect: other data sets count, cache, draw or read files when read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as L
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from adaptive_dropout.callbacks.isolated.guard import fixed_seed
from adaptive_dropout.contexts import replaced
from adaptive_dropout.layouts import bytes_stored, deep_copy

__all__ = ["KeptBatches", "RunBatches", "batch_size", "batches_in_memory", "loader_in_memory"]

HOOK = "_on_before_batch_transfer"
MOST_BYTES = 1e9
SAMPLERS = (RandomSampler, SequentialSampler, DistributedSampler)  # all of the data set, and each example alike


class KeptBatches:
    """The first batches that are offered, none much smaller than the first, copied before anything is done to them.

    A batch is kept whole: a loss may depend on its size, and only its loader knows how to cut it.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.batches: list[Any] = []
        self._bytes = 0.0

    @property
    def full(self) -> bool:
        """Whether it keeps no more; two are kept whatever their size."""
        return len(self.batches) >= self.most or (len(self.batches) >= 2 and self._bytes >= MOST_BYTES)

    @property
    def size(self) -> int | None:
        """How many examples the first one has, None where that cannot be seen."""
        return batch_size(self.batches[0]) if self.batches else None

    def offer(self, batch: Any) -> None:
        """Keep a copy of ``batch``, unless it is None or less than half of the first, as an epoch's last may be."""
        if self.full or batch is None or 2 * (batch_size(batch) or 1) < (self.size or 1):
            return
        self.batches.append(deep_copy(batch))
        self._bytes += sum(bytes_stored(tensor) for tensor in _tensors(batch))


class RunBatches:
    """The first batches that a run trains on and validates on, before the hooks that transfer them to a device.

    ``train`` and ``val`` keep them. ``loader`` is the number of the validation loader that counts, where there are
    several, and ``error`` says why nothing can be kept.
    """

    def __init__(self) -> None:
        self.train, self.val = KeptBatches(1), KeptBatches(0)
        self.loader = 0
        self.error = ""
        self._watching = ExitStack()

    def watch(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep batches from now on, until there are enough."""
        passed_on: Any = getattr(type(pl_module), HOOK)

        def hook(batch: Any, dataloader_idx: int = 0) -> Any:
            self._take(trainer, pl_module, batch, dataloader_idx)
            return passed_on(pl_module, batch, dataloader_idx)

        self._watching.enter_context(replaced(pl_module, **{HOOK: hook}))

    def unwatch(self) -> None:
        """End what `watch` began, if anything."""
        self._watching.close()

    def _take(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, dataloader_idx: int) -> None:
        try:
            if trainer.training:
                self.train.offer(batch)
            elif dataloader_idx == self.loader:
                self.val.offer(batch)
        except Exception as error:  # of a class that cannot be copied
            self.error = f"a batch cannot be copied ({error})"
        if self.error or (self.train.full and self.val.full):
            self.unwatch()


def batch_size(batch: Any) -> int | None:
    """Return the length of the first tensor or list in ``batch``, as most batches have it; None where there is none.

    >>> import torch
    >>> batch_size({"n": torch.tensor(3.0), "x": torch.ones(8, 2)})
    8
    """
    return next((len(leaf) for leaf in _leaves(batch)), None)


def loader_in_memory(trainer: L.Trainer) -> DataLoader[Any] | None:
    """Return the training loader, if its data lies in memory and it gives all of it in batches of one size."""
    loader: Any = trainer.train_dataloader
    known = type(loader) is DataLoader or getattr(type(loader), "in_memory", False) is True
    if not known or loader.batch_size is None or not isinstance(loader.sampler, SAMPLERS):
        return None
    ours = getattr(type(loader.dataset), "in_memory", False)
    if loader.collate_fn is not default_collate and not ours:  # a collator of the user's own may count its calls
        return None
    return loader if _lies_in_memory(loader.dataset) else None


def batches_in_memory(loader: DataLoader[Any], most: int, rank: int = 0) -> list[Any]:
    """Return ``most`` batches of ``loader``'s size, or as many as there are; each process gets others.

    Args:
        loader: as `loader_in_memory` returns it.
        most: how many.
        rank: of the process.
    """
    data: Any = loader.dataset
    assert loader.batch_size is not None
    count = min(most, len(data) // loader.batch_size)
    size = count * loader.batch_size
    chosen = [(number * len(data) // size + rank) % len(data) for number in range(size)]
    with fixed_seed():  # transforms may draw random numbers
        return [_read(loader, chosen[number::count]) for number in range(count)]


def _leaves(batch: Any) -> Iterator[Any]:
    """Yield what has a length in ``batch``: tensors that are not 0-dim, and lists of anything but tensors."""
    if isinstance(batch, Tensor):
        if batch.dim():
            yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from _leaves(value)
    elif isinstance(batch, Sequence) and not isinstance(batch, str):
        if batch and isinstance(batch[0], (str, int, float)):
            yield batch
        for value in batch:
            yield from _leaves(value)


def _tensors(batch: Any) -> Iterator[Tensor]:
    return (leaf for leaf in _leaves(batch) if isinstance(leaf, Tensor))


def _read(loader: DataLoader[Any], indices: list[int]) -> Any:
    data: Any = loader.dataset
    examples = data.__getitems__(indices) if hasattr(data, "__getitems__") else [data[index] for index in indices]
    return loader.collate_fn(examples)


def _lies_in_memory(data: object) -> bool:
    if type(data) is Subset:
        return _lies_in_memory(data.dataset)
    return type(data) is TensorDataset or getattr(type(data), "in_memory", False) is True
