"""Signals as a rule reads them: by name, finite numbers of a size that it can calculate with."""

from __future__ import annotations

import math
from collections.abc import Mapping

from adaptive_dropout.controllers.numbers import check_is_number, to_float

__all__ = ["LARGEST", "BrokenSignalError", "as_float", "has_diverged", "read_optional", "read_or", "read_signal"]

LARGEST = 1e100
"""Signals beyond it have diverged: sums and products of those within it are finite."""


class BrokenSignalError(ValueError):
    """A rule read a signal that is NaN, infinite, or so large that it has diverged."""

    def __init__(self, name: str, value: float) -> None:
        # Pickled errors are made again from what is given here.
        super().__init__(name, value)
        self.name, self.value = name, value

    def __str__(self) -> str:
        finite = "a finite number" if not math.isfinite(self.value) else f"a number of at most {LARGEST}"
        return f"signal {self.name!r} has to be {finite}, but got {self.value}"


def read_signal(signals: Mapping[str, float], name: str) -> float:
    """Return the signal called ``name``, a finite float.

    Raises:
        KeyError: there is no signal of this name.
        ValueError: it is NaN, infinite or beyond 1e100.
        TypeError: it is not a number.

    >>> read_signal({"val_loss": 0.5}, "val_loss")
    0.5
    """
    if name not in signals:
        raise KeyError(f"no signal named {name!r}; there are {sorted(signals)}")
    value = signals[name]
    if type(value) in (float, int) and -LARGEST <= value <= LARGEST:  # nearly always, and a decision reads twenty
        return float(value)
    value = as_float(signals, name)
    if not abs(value) <= LARGEST:
        raise BrokenSignalError(name, value)
    return value


def has_diverged(signals: Mapping[str, float], name: str) -> bool:
    """Return whether the signal called ``name`` is NaN, infinite or beyond 1e100; False if there is none.

    Raises:
        TypeError: it is not a number.
    """
    return name in signals and not abs(as_float(signals, name)) <= LARGEST


def read_optional(signals: Mapping[str, float], name: str) -> float | None:
    """Return the signal called ``name``, or None if there is no signal of this name; raise as `read_signal` does."""
    return read_signal(signals, name) if name in signals else None


def read_or(signals: Mapping[str, float], name: str, default: float) -> float:
    """Return the signal called ``name``, or ``default`` if there is no signal of this name; raise as `read_signal`."""
    return read_signal(signals, name) if name in signals else default


def as_float(signals: Mapping[str, float], name: str) -> float:
    """Return the signal called ``name`` as a float; raise a TypeError if it is not a number."""
    value = signals[name]
    return value if type(value) is float else to_float(check_is_number(value, f"signal {name!r}"))
