"""Means over seeds with their standard errors, on plain rows; differences are of pairs of the same seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

__all__ = ["Spread", "mean_and_error", "mean_of_any", "pair", "paired_difference", "summarize"]

Spread = tuple[float, float]
"""A mean and its standard error, which is NaN for one value."""


class _Seeded(Protocol):
    @property
    def seed(self) -> int: ...


R = TypeVar("R", bound=_Seeded)


def mean_and_error(values: Sequence[float]) -> Spread:
    """Return the mean and its standard error, s / sqrt(n) with n - 1 in s; NaN if one value cannot tell it."""
    n = len(values)
    mean = sum(values) / n
    if n < 2 or not math.isfinite(mean):
        return mean, math.nan
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)


def mean_of_any(values: Iterable[float]) -> Spread | None:
    """Return `mean_and_error` of ``values``; None if there are none."""
    found = list(values)
    return mean_and_error(found) if found else None


def summarize(rows: Sequence[Any], value: Callable[[Any], float]) -> Spread:
    """Return mean and standard error of ``value`` over the rows, at least one."""
    return mean_and_error([value(row) for row in rows])


def paired_difference(rows: Sequence[R], reference: Sequence[R], value: Callable[[R], float]) -> Spread | None:
    """Return mean and standard error of the difference in ``value`` over the seeds that both have; None without any."""
    return mean_of_any(value(row) - value(other) for row, other in pair(rows, reference))


def pair(rows: Sequence[R], reference: Sequence[R]) -> list[tuple[R, R]]:
    """Return each row with the reference of the same seed, if there is one."""
    by_seed = {row.seed: row for row in reference}
    return [(row, by_seed[row.seed]) for row in rows if row.seed in by_seed]
