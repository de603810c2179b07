"""Data of the user's own: one file of numbers, for classification or regression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_dropout.data.base import Examples, TensorDataModule
from adaptive_dropout.data.splits import check_fraction, three_way
from adaptive_dropout.data.tables import read_table

__all__ = ["Arrays"]


class Arrays(TensorDataModule):
    """A ``.npz`` file with the arrays ``x`` and ``y``, or a ``.csv`` or ``.tsv`` file with a header.

    **Integer targets are classes, floats are numbers to predict**; in text, ``3`` is an integer and ``3.0`` is not.
    The file is read at construction, so the sizes that a network needs are known, and errors are raised, before
    training.

    A batch is float32 (batch, ...) and int64 classes (batch,), or float32 targets, (batch,) for one number and
    (batch, num_targets) for more. Each input value has mean 0 and variance 1 over the training part, and so has
    each number to predict: on the file's scale it is ``y * y_std + y_mean``. A value that is constant there becomes 0.

    Args:
        path: the file.
        target: the name of the targets; None means the array ``y``, or the column ``target``, else the last one.
        batch_size: examples in a batch.
        val_fraction: the part of all examples that validates, in (0, 1).
        test_fraction: the part of all examples that tests, in (0, 1).
        seed: fixes the split and the training order.

    Attributes:
        num_features: how many numbers one input holds.
        classes: the file's own numbers of class 0, 1, ...; empty for numbers to predict.
        num_classes: how many classes there are, 0 for numbers to predict.
        num_targets: how many numbers are predicted for one input, 0 for classes.
        y_mean: the training part's mean of the numbers to predict, 0-dim for one number, after `setup`.
        y_std: their standard deviation, of the same shape, after `setup`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is corrupt or its content cannot be learned from, or a fraction is out of its range.
    """

    y_mean: Tensor
    y_std: Tensor

    def __init__(
        self,
        path: str | Path,
        target: str | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, seed)
        self.val_fraction = check_fraction(val_fraction, "val_fraction")
        self.test_fraction = check_fraction(test_fraction, "test_fraction")
        self._table = read_table(Path(path).expanduser(), target)
        x, y = self._table.x, self._table.y
        self.num_features = x[0].size
        self.classes: list[int] = np.unique(y).tolist() if y.dtype == np.int64 else []
        self.num_classes = len(self.classes)
        self.num_targets = 0 if self.classes else y[0].size

    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Split by seed and standardise by the training part."""
        parts = three_way(self._table.y, self.val_fraction, self.test_fraction, self.seed)
        x = _standardise(self._table.x, *_mean_and_std(self._table.x[parts[0]]))
        y = self._class_numbers() if self.classes else self._numbers(parts[0])
        train, val, test = (Examples(x[part], y[part]) for part in parts)
        return train, val, test

    def _class_numbers(self) -> Tensor:
        return torch.from_numpy(np.searchsorted(self.classes, self._table.y).astype(np.int64))

    def _numbers(self, train: NDArray[np.intp]) -> Tensor:
        mean, std = _mean_and_std(self._table.y[train])
        self.y_mean, self.y_std = torch.as_tensor(mean).float(), torch.as_tensor(std).float()
        return _standardise(self._table.y, mean, std)


def _mean_and_std(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    std = values.std(axis=0)
    # The deviation of a constant can come out as 1e-17 instead of 0, so the range is compared.
    return values.mean(axis=0), np.where(np.ptp(values, axis=0) == 0.0, 1.0, std)


def _standardise(values: NDArray[np.float64], mean: NDArray[np.float64], std: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy((values - mean) / std).float()
