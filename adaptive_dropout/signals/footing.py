"""Whether training and validation losses can be compared, judged by their values.

A loss that is summed over the batch differs between batches of different sizes, and a training loss may have terms that
the validation loss lacks. The difference of two such numbers says nothing about overfitting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Footing", "compare_untrained", "differs", "mean_and_error"]

CLOSE = 0.05  # of the loss: differences up to this can come from chance and the order of the data
ALONE = 0.5  # of the loss: how far one batch and another may be apart by chance, where there is no standard error
FAR = 0.1  # of the loss: with a larger difference, two losses are not the same function
SURE = 3.0  # standard errors


class Footing(NamedTuple):
    """How the clean loss compares with the validation loss.

    Args:
        factor: converts the clean loss into the units of the validation loss.
        levels: whether the difference of the two means anything; otherwise only how fast each falls does.
    """

    factor: float = 1.0
    levels: bool = True


def compare_untrained(
    clean: Sequence[float], val: Sequence[float], sizes: tuple[int | None, int | None] = (None, None)
) -> Footing:
    """Return how an untrained network's losses of training batches compare with those of validation batches.

    The network has seen neither, so a difference beyond chance comes from how the losses are computed. Batches of one
    size count as computed in the same way. With one batch of each, chance is not known: then the losses are means or
    sums, whichever brings them nearer, unless that leaves half of the loss.

    >>> compare_untrained([64.0, 66.0], [130.0, 130.5], sizes=(32, 64))  # sums over batches
    Footing(factor=2.0, levels=True)

    Args:
        clean: of each batch of training data, with dropout off.
        val: of each batch of validation data.
        sizes: examples in a batch of each, None where that is not known.
    """
    (of_train, train_error), (of_val, val_error) = mean_and_error(clean), mean_and_error(val)
    size, val_size = sizes
    if size is not None and size == val_size:
        return Footing()
    margin = SURE * math.hypot(train_error, val_error) + CLOSE * abs(of_val)
    as_means = abs(of_val - of_train)
    as_sums = abs(of_val - of_train * val_size / size) if size and val_size else math.inf
    alone = len(clean) < 2 and len(val) < 2
    if alone:
        margin = ALONE * abs(of_val)
    if not math.isfinite(as_means) or (as_means <= margin and not (alone and as_sums < as_means)):
        return Footing()
    if as_sums <= margin and size and val_size:
        return Footing(val_size / size)
    ratio = of_val / of_train if of_train else 1.0
    return Footing(ratio if ratio > 0 else 1.0, levels=False)


def differs(loss: float, error: float, other: float, other_error: float) -> bool:
    """Tell whether two losses are so far apart that they cannot be the same function of the same network."""
    apart = abs(loss - other)
    return apart > SURE * math.hypot(error, other_error) and apart > FAR * max(abs(loss), abs(other))


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of ``values`` and its standard error, 0 for a single one."""
    n = len(values)
    mean = sum(values) / n
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / max(n - 1, 1) / n)
