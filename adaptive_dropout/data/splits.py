"""Which examples are held out: one part, or each part in turn, with every class in its share where possible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from adaptive_dropout.checks import check_count, check_p

__all__ = ["check_fraction", "fold_indices", "split_off", "three_way"]


def check_fraction(value: object, name: str) -> float:
    """Return ``value`` as a float inside (0, 1), or raise TypeError or ValueError in one line."""
    fraction = check_p(value, name)
    if fraction in (0.0, 1.0):
        raise ValueError(f"{name} has to lie between 0 and 1, both excluded, but got {fraction}")
    return fraction


def split_off(y: NDArray[np.generic], fraction: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices that stay and the indices that are held out, each in random order.

    Args:
        y: the targets, shape (n, ...). Integers are classes: each keeps its share in both parts, unless one
            has a single member or a part is smaller than the number of classes.
        fraction: how much of ``y`` is held out, in (0, 1); rounded to whole examples.
        seed: the same seed holds out the same examples.

    Raises:
        ValueError: one of the two parts would be empty.
    """
    n_out = round(fraction * len(y))
    if not 0 < n_out < len(y):
        raise ValueError(f"{fraction:.4g} of {len(y)} examples leaves one part of the split empty")
    strata = y if _can_stratify(y, n_out) else None
    stay, out = train_test_split(np.arange(len(y)), test_size=n_out, random_state=seed, stratify=strata)
    return stay, out


def three_way(
    y: NDArray[np.generic], val_fraction: float, test_fraction: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of a training, a validation and a test part; both fractions are of all of ``y``.

    The test part depends on ``test_fraction`` and ``seed`` only.

    Raises:
        ValueError: nothing is left to train on.
    """
    if val_fraction + test_fraction >= 1.0:
        raise ValueError(f"val_fraction {val_fraction} and test_fraction {test_fraction} have to sum to less than 1")
    rest, test = split_off(y, test_fraction, seed)
    train, val = split_off(y[rest], val_fraction / (1.0 - test_fraction), seed)
    return rest[train], rest[val], test


def fold_indices(y: NDArray[np.generic], folds: int, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return for each fold the indices that train and those that validate; each example validates in exactly one.

    Args:
        y: the targets, shape (n, ...). Integers of shape (n,) are classes: each has its share in every fold, to
            within one example, unless one has fewer members than there are folds.
        folds: how many, from 2 to n; where no class has to keep its share, their sizes differ by at most one.
        seed: the same seed makes the same folds.

    Raises:
        TypeError: ``folds`` is not an integer.
        ValueError: ``folds`` is less than 2 or more than there are examples.
    """
    if check_count(folds, "folds", least=2) > len(y):
        raise ValueError(f"folds has to be at most {len(y)}, the number of examples, but got {folds}")
    labelled = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    stratify = labelled and int(np.unique(y, return_counts=True)[1].min()) >= folds
    cut = (StratifiedKFold if stratify else KFold)(folds, shuffle=True, random_state=seed)
    return list(cut.split(y, y))


def _can_stratify(y: NDArray[np.generic], n_out: int) -> bool:
    if not np.issubdtype(y.dtype, np.integer):
        return False
    counts = np.unique(y, return_counts=True)[1]
    return bool(counts.min() >= 2 and len(counts) <= min(n_out, len(y) - n_out))
