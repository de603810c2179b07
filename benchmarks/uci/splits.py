"""The UCI regression sets in the authors' own splits, standardised by the rows that are trained on."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_dropout.data.base import Examples
from adaptive_dropout.data.splits import split_off

__all__ = ["UciSplit", "read_split"]


@dataclass(frozen=True)
class UciSplit:
    """One split: inputs (n, features) and targets (n,), of mean 0 and variance 1 over the training rows.

    Args:
        train: what the weights are fitted to.
        val: part of the authors' training rows, which the rates, the weights and the noise are chosen by.
        test: the authors' test rows.
        unit: the standard deviation of the target over the training rows, in the units of the file.
    """

    train: Examples
    val: Examples
    test: Examples
    unit: float


def read_split(file: Path, number: int, val_fraction: float) -> UciSplit:
    """Return split ``number`` of ``file``.

    Args:
        file: a ``.npz`` file with ``data``, ``index_features``, ``index_target``, ``n_splits``, ``index_train_k`` and
            ``index_test_k``.
        number: k, from 0 on; it also seeds which training rows validate.
        val_fraction: the part of the authors' training rows that validates, in (0, 1).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such split, or the file has not these arrays.

    Source: the splits of Hernandez-Lobato and Adams (2015), as Gal and Ghahramani (2016) use them.
    """
    x, y, rest, test = _arrays(file, number)
    kept, held_out = split_off(y[rest], val_fraction, number)
    train, val = rest[kept], rest[held_out]
    inputs, _ = _standardised(x, train)
    targets, unit = _standardised(y, train)
    fitted, chosen_by, tested = (Examples(inputs[part], targets[part]) for part in (train, val, test))
    return UciSplit(fitted, chosen_by, tested, float(unit))


def _arrays(file: Path, number: int) -> tuple[NDArray[Any], ...]:
    try:
        with np.load(file) as arrays:
            splits = int(arrays["n_splits"])
            if number not in range(splits):
                raise ValueError(f"{file} has the splits 0 to {splits - 1}, but split {number} was asked for")
            x = arrays["data"][:, arrays["index_features"].astype(np.intp)]
            y = arrays["data"][:, int(arrays["index_target"])]
            rest, test = (arrays[f"index_{part}_{number}"].astype(np.intp) for part in ("train", "test"))
    except (KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} has to hold data, indices and splits as arrays, but: {error.args[0]}") from None
    return x, y, rest, test


def _standardised(values: NDArray[Any], train: NDArray[Any]) -> tuple[Tensor, NDArray[Any]]:
    known = values[train].astype(np.float64)
    # Two features of naval-propulsion-plant are constant: there is nothing to scale.
    spread = np.where(np.ptp(known, axis=0) == 0.0, 1.0, known.std(axis=0))
    return torch.from_numpy((values - known.mean(axis=0)) / spread).float(), spread
