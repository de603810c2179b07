"""Parts of a data set that validate in turn: k-fold cross-validation, by scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold

from adaptive_dropout.checks import check_count

__all__ = ["fold_indices"]


def fold_indices(y: NDArray[np.generic], folds: int, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return for each fold the indices that train and those that validate; each example validates in one fold.

    Args:
        y: the targets, shape (n, ...). Integers of shape (n,) are classes: each has its share in every fold, to
            within one example, unless one has fewer members than there are folds.
        folds: how many, from 2 to n; their sizes differ by one at most where no class has to keep its share.
        seed: the same seed cuts the same folds.

    Raises:
        TypeError: ``folds`` is no integer.
        ValueError: ``folds`` is less than 2 or more than there are examples.
    """
    if check_count(folds, "folds", least=2) > len(y):
        raise ValueError(f"folds has to be at most {len(y)}, the number of examples, but got {folds}")
    labelled = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    stratify = labelled and int(np.unique(y, return_counts=True)[1].min()) >= folds
    cut = (StratifiedKFold if stratify else KFold)(folds, shuffle=True, random_state=seed)
    return list(cut.split(y, y))
