"""Tables to learn from: scikit-learn's, the UCI regression sets with their standard splits, and tables without a split.

At most 2000 rows are trained on, 1000 validate and 5000 test: the study is about little data. Inputs, and numbers to
predict, are standardised by the training rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes
from torch import Tensor

from adaptive_dropout.data.base import Examples
from adaptive_dropout.data.splits import split_off, three_way
from benchmarks.study.windows import Split

__all__ = ["breast_cancer", "diabetes", "tabular", "uci"]

Parts = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
_MOST = (2000, 1000, 5000)


def diabetes(seed: int) -> Split:
    """Return 442 patients, 10 measurements, and how far the disease went: Efron et al. (2004)."""
    x, y = load_diabetes(return_X_y=True)
    return _examples(x, y, three_way(y, 0.2, 0.2, seed))


def breast_cancer(seed: int) -> Split:
    """Return 569 tumours, 30 measurements, malignant or benign: Street et al. (1993)."""
    x, y = load_breast_cancer(return_X_y=True)
    return _examples(x, y.astype(np.int64), three_way(y, 0.2, 0.2, seed))


def uci(file: Path, seed: int) -> Split:
    """Return a regression set in its standard split number ``seed``, counted round; a fifth of the rest validates.

    Source: the splits of Hernandez-Lobato and Adams (2015), as Gal and Ghahramani (2016) use them.
    """
    with np.load(file) as arrays:
        number = seed % int(arrays["n_splits"])
        rest, test = (arrays[f"index_{part}_{number}"].astype(np.intp) for part in ("train", "test"))
        x = arrays["data"][:, arrays["index_features"].astype(np.intp)]
        y = arrays["data"][:, int(arrays["index_target"])]
    train, val = split_off(y[rest], 0.2, seed)
    return _examples(x, y, (rest[train], rest[val], test))


def tabular(file: Path, seed: int) -> Split:
    """Return a table of numbers whose last column is the class, split by seed; a fifth validates and a fifth tests."""
    cells = np.loadtxt(file, delimiter="\t", skiprows=1)
    y = np.unique(cells[:, -1], return_inverse=True)[1].astype(np.int64)
    return _examples(cells[:, :-1], y, three_way(y, 0.2, 0.2, seed))


def _examples(x: NDArray[Any], y: NDArray[Any], parts: Parts) -> Split:
    train, val, test = (part[:most] for part, most in zip(parts, _MOST, strict=True))
    inputs = _standardised(x, train)
    targets = torch.from_numpy(y) if y.dtype == np.int64 else _standardised(y, train)
    return (
        Examples(inputs[train], targets[train]),
        Examples(inputs[val], targets[val]),
        Examples(inputs[test], targets[test]),
    )


def _standardised(values: NDArray[Any], train: NDArray[Any]) -> Tensor:
    known = values[train].astype(np.float64)
    spread = known.std(axis=0)
    # A column that is constant among the training rows carries nothing to scale.
    return torch.from_numpy((values - known.mean(axis=0)) / np.where(spread < 1e-12, 1.0, spread)).float()
