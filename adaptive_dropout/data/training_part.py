"""The examples that a classifier trains on: fewer of them, or with wrong labels, to make overfitting visible.

Both come from one seeded order, so that runs of different sizes can be compared: the 100 examples of a small run are
among the 200 of a larger one, and a label that is wrong at noise 0.1 is the same wrong label at noise 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptive_dropout.checks import check_count, check_p

__all__ = ["TrainingPart", "flip_labels", "stratified_subset"]


@dataclass(frozen=True)
class TrainingPart:
    """How many examples train, and which fraction of their labels is wrong.

    Args:
        n_train: how many, at least one for each class; None takes all.
        label_noise: the fraction of labels replaced by another class, in [0, 1]; rounded to whole labels.
        seed: the same seed chooses the same examples and the same wrong labels.

    Raises:
        TypeError: a value is not a number, or ``n_train`` is not an integer.
        ValueError: ``n_train`` is not positive, or ``label_noise`` is outside [0, 1].
    """

    n_train: int | None = None
    label_noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_p(self.label_noise, "label_noise")
        if self.n_train is not None:
            check_count(self.n_train, "n_train")

    def select(self, y: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return the indices of the training examples in ``y``, (n,), and their labels, noise included."""
        chosen = np.arange(len(y)) if self.n_train is None else stratified_subset(y, self.n_train, self.seed)
        return chosen, flip_labels(y[chosen], self.label_noise, int(y.max()) + 1, self.seed)


def stratified_subset(y: NDArray[np.int64], n: int, seed: int) -> NDArray[np.intp]:
    """Return ``n`` indices into the labels ``y`` in which every class has its share, to within one example.

    Member k of a class of size m gets the rank k / m, and the n lowest ranks are taken. So every class is there once
    before any is there twice, and a larger subset contains every smaller one.

    Raises:
        ValueError: ``n`` is larger than ``y`` or smaller than the number of classes.
    """
    classes, positions, counts = np.unique(y, return_inverse=True, return_counts=True)
    if not len(classes) <= n <= len(y):
        raise ValueError(
            f"n_train has to be between {len(classes)}, one example of each class, and {len(y)}, "
            f"the whole training part, but got {n}"
        )
    rng = np.random.default_rng([seed, 0])
    order = rng.permutation(len(y))
    member = np.empty(len(y), dtype=np.int64)
    for label, count in enumerate(counts):
        member[order[positions[order] == label]] = np.arange(count)
    rank = member / counts[positions]
    return np.lexsort((rng.random(len(y)), rank))[:n]


def flip_labels(y: NDArray[np.int64], fraction: float, num_classes: int, seed: int) -> NDArray[np.int64]:
    """Return a copy of ``y``, shape (n,), with ``fraction`` of the labels moved to a uniformly drawn other class.

    Args:
        y: labels in 0 ... ``num_classes`` - 1.
        fraction: in [0, 1]; at 1 no label is right.
        num_classes: how many classes there are to draw from.
        seed: the same seed moves the same labels to the same classes.

    Raises:
        ValueError: a label has to move and there is no other class.
    """
    n_wrong = round(fraction * len(y))
    if n_wrong and num_classes < 2:
        raise ValueError(f"label_noise {fraction} needs at least 2 classes, but there is {num_classes}")
    if not n_wrong:
        return y.copy()
    rng = np.random.default_rng([seed, 1])
    wrong = rng.permutation(len(y))[:n_wrong]
    noisy = y.copy()
    noisy[wrong] = (y + rng.integers(1, num_classes, len(y)))[wrong] % num_classes
    return noisy
