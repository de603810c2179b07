"""Fixed batches of training data that lies in memory: spread evenly over it, and the same ones after a resume.

Only where reading an example cannot be noticed: other data sets count, cache, draw or read files when they are asked.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from adaptive_dropout.callbacks.isolated.generators import fixed_seed

__all__ = ["batches_in_memory", "loader_in_memory"]

SAMPLERS = (RandomSampler, SequentialSampler, DistributedSampler)  # all of the data set, and each example alike


def loader_in_memory(trainer: L.Trainer) -> DataLoader[Any] | None:
    """Return the training loader, if its data lies in memory and it gives all of it in batches of one size."""
    loader = trainer.train_dataloader
    if type(loader) is not DataLoader or loader.batch_size is None or not isinstance(loader.sampler, SAMPLERS):
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
    with fixed_seed():  # what the data is prepared by may draw
        return [_read(loader, chosen[number::count]) for number in range(count)]


def _read(loader: DataLoader[Any], indices: list[int]) -> Any:
    data: Any = loader.dataset
    examples = data.__getitems__(indices) if hasattr(data, "__getitems__") else [data[index] for index in indices]
    return loader.collate_fn(examples)


def _lies_in_memory(data: object) -> bool:
    if type(data) is Subset:
        return _lies_in_memory(data.dataset)
    return type(data) is TensorDataset or getattr(type(data), "in_memory", False) is True
