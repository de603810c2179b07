"""Sums that a rule decides by: from left to right, on every Python."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add

__all__ = ["add_up"]


def add_up(values: Iterable[float]) -> float:
    """Return the sum of ``values``, each addition rounded.

    From Python 3.12 on ``sum`` carries what rounding lost: a run replayed there would differ in its last digits.

    >>> add_up([0.1] * 10)
    0.9999999999999999
    """
    return reduce(add, values, 0.0)
