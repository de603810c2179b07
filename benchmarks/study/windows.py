"""Batches in windows: one epoch is the steps between two validations, however few examples there are.

With two hundred examples a pass over them takes seven steps, and starting an epoch would cost more than training it.
The passes themselves continue from window to window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from adaptive_dropout.data import TensorDataModule
from adaptive_dropout.data.base import Examples

__all__ = ["Split", "Windows"]

Split = tuple[Examples, Examples, Examples]
"""What is trained on, validated on and tested on."""

_EVALUATION_BATCHES = 8  # few calls, yet enough batches to tell the standard error of a loss from


class Windows(TensorDataModule):
    """Three sets in memory; an epoch is ``steps`` batches, and what validates or tests comes in eight.

    Args:
        split: returns the three sets; called once.
        batch_size: training examples in a batch, all batches are full.
        steps: batches in an epoch, at least 1.
        seed: fixes the order of the training examples.
    """

    def __init__(self, split: Callable[[], Split], batch_size: int, steps: int, seed: int) -> None:
        super().__init__(batch_size, seed)
        self.split = split
        self.steps = steps

    def examples(self) -> Split:
        """Return what ``split`` returns."""
        return self.split()

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return one window of training batches, which go on where the last window ended."""
        order = torch.Generator().manual_seed(self.seed)
        passes = _Passes(len(self.train_set), self.steps * self.batch_size, order)
        return DataLoader(
            self.train_set, self.batch_size, sampler=passes, collate_fn=_as_it_is, generator=torch.Generator()
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return the validation examples in eight batches."""
        return _few_batches(self.val_set)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return the test examples in eight batches."""
        return _few_batches(self.test_set)


class _Passes(Sampler[int]):
    """``count`` indices a walk, out of one endless sequence of shuffled passes over ``n`` examples."""

    def __init__(self, n: int, count: int, order: torch.Generator) -> None:
        self.n = n
        self.count = count
        self.order = order
        self._left: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        while len(self._left) < self.count:
            self._left += torch.randperm(self.n, generator=self.order).tolist()
        window, self._left = self._left[: self.count], self._left[self.count :]
        return iter(window)


def _few_batches(examples: Examples) -> DataLoader[tuple[Tensor, Tensor]]:
    size = math.ceil(len(examples) / _EVALUATION_BATCHES)
    return DataLoader(examples, size, collate_fn=_as_it_is, generator=torch.Generator())


def _as_it_is(batch: Any) -> Any:
    return batch
