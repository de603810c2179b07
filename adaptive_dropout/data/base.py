"""Data that fits in memory: a subclass gives the three sets, and this module makes the batches.

A batch is one indexing operation on a tensor, so there is nothing for worker processes to do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from adaptive_dropout.data.loaders import SeededLoaders, silence, unsilence
from adaptive_dropout.data.splits import fold_indices

__all__ = ["Examples", "TensorDataModule"]

Batch = tuple[Tensor, Tensor]


class Examples(Dataset[Batch]):
    """Inputs and targets side by side in memory.

    Args:
        x: the inputs as they are stored, shape (n, ...).
        y: the targets, shape (n, ...).
        prepare: applied to a batch of stored inputs each time it is read, (batch, ...) -> (batch, ...); None leaves
            it as it is.

    Raises:
        ValueError: ``x`` and ``y`` differ in length.
    """

    in_memory = True
    """Reading an example has no side effect, except that ``prepare`` may draw from torch's generator."""

    def __init__(self, x: Tensor, y: Tensor, prepare: Callable[[Tensor], Tensor] | None = None) -> None:
        if len(x) != len(y):
            raise ValueError(f"x and y have to be equally long, but got {len(x)} and {len(y)} examples")
        self.x = x
        self.y = y
        self.prepare = prepare

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> Batch:
        x, y = self.__getitems__([index])
        return x[0], y[0]

    def __getitems__(self, indices: list[int]) -> Batch:
        """Return the batch at ``indices``; torch's loader asks for whole batches where it can."""
        x = self.x[indices]
        return (x if self.prepare is None else self.prepare(x)), self.y[indices]


class TensorDataModule(L.LightningDataModule, ABC):
    """Training, validation and test batches from tensors in memory.

    The training order has a generator of its own, whose state is part of the checkpoint. After `setup` the sets are
    ``train_set``, ``val_set`` and ``test_set``, each an `Examples`.

    Args:
        batch_size: examples in a batch, at least 1; the last batch of an epoch may be smaller.
        seed: fixes the training order, and the splits and draws of a subclass.

    Raises:
        TypeError: ``batch_size`` is not an integer.
        ValueError: ``batch_size`` is less than 1, or ``seed`` is outside 0 ... 2**32 - 1.
    """

    train_set: Examples
    val_set: Examples
    test_set: Examples

    def __init__(self, batch_size: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self._loaders = SeededLoaders(batch_size, seed, collate_fn=_keep)
        self._is_read = False

    @property
    def batch_size(self) -> int:
        """How many examples a batch has."""
        return self._loaders.batch_size

    @abstractmethod
    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Return the training, the validation and the test set; called once."""

    def setup(self, stage: str | None = None) -> None:
        """Read the data, the first time."""
        if self.trainer is not None:
            silence()
        if not self._is_read:
            self.train_set, self.val_set, self.test_set = self.examples()
            self._is_read = True

    def use_fold(self, fold: int, folds: int) -> None:
        """Cut the training and validation examples together into parts; validate on one and train on the others.

        Call it once, before training; it reads the data and leaves the test set alone. Inputs stay standardised as they
        were, and labels that a `TrainingPart` made wrong stay wrong, in the part that validates too.

        Args:
            fold: the part that validates, in 0 ... ``folds`` - 1.
            folds: how many parts there are, at least 2; the cut depends on it and on ``seed``.

        Raises:
            TypeError, ValueError: as in `fold_indices`; or there is no such fold.
        """
        self.setup()
        before, after = self.train_set, self.val_set
        x, y = torch.cat([before.x, after.x]), torch.cat([before.y, after.y])
        cut = fold_indices(y.numpy(), folds, self.seed)
        if not 0 <= fold < folds:
            raise ValueError(f"fold has to be between 0 and {folds - 1}, but got {fold}")
        train, val = cut[fold]
        self.train_set, self.val_set = (
            Examples(x[train], y[train], before.prepare),
            Examples(x[val], y[val], after.prepare),
        )

    def teardown(self, stage: str | None = None) -> None:
        """Let Lightning give its advice about loaders again."""
        unsilence()

    def on_exception(self, exception: BaseException) -> None:
        """Do what `teardown` does, which Lightning skips when a run fails."""
        unsilence()

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the training batches, in a new order each epoch."""
        return self._loaders.shuffled(self.train_set)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the validation batches, always in the same order."""
        return self._loaders.in_order(self.val_set)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the test batches, always in the same order."""
        return self._loaders.in_order(self.test_set)

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Return the test batches, to predict from their inputs."""
        return self.test_dataloader()

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the sequence of training orders."""
        return self._loaders.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the sequence of training orders; in mid-epoch the loader's own state does."""
        self._loaders.load_state_dict(state_dict)


def _keep(batch: Batch) -> Batch:
    return batch
