"""Reading a signal, so that a missing or broken one is named before it can steer anything."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["read_optional", "read_signal"]


def read_signal(signals: Mapping[str, float], name: str) -> float:
    """Return the signal called ``name``, a finite float.

    Raises:
        KeyError: there is none of this name.
        ValueError: it is NaN or infinite.

    >>> read_signal({"val_loss": 0.5}, "val_loss")
    0.5
    """
    if name not in signals:
        raise KeyError(f"no signal named {name!r}; there are {sorted(signals)}")
    value = float(signals[name])
    if not math.isfinite(value):
        raise ValueError(f"signal {name!r} has to be a finite number, but got {value}")
    return value


def read_optional(signals: Mapping[str, float], name: str) -> float | None:
    """Return the signal called ``name``, a finite float, or None where there is none.

    Raises:
        ValueError: it is NaN or infinite.
    """
    return read_signal(signals, name) if name in signals else None
