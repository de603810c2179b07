"""What counts as a drop probability: a real number in [0, 1]. Standard library only; everything may import it."""

from __future__ import annotations

import math

__all__ = ["check_p", "clip", "expit", "logit"]


def check_p(p: object, name: str = "p") -> float:
    """Return ``p`` as a float, or say in one line why it is no probability.

    Args:
        p: what the user gave; a real number in [0, 1], both ends included.
        name: what the message calls it.

    Raises:
        TypeError: ``p`` is not a number (a string, None, a bool).
        ValueError: ``p`` is NaN or outside [0, 1].
    """
    if isinstance(p, (str, bytes, bool)) or not hasattr(p, "__float__"):
        raise TypeError(f"{name} has to be a number between 0 and 1, but got {p!r}")
    value = float(p)
    if not 0.0 <= value <= 1.0:  # NaN fails this comparison too
        raise ValueError(f"{name} has to be between 0 and 1, but got {value}")
    return value


def clip(p: float, low: float = 0.0, high: float = 1.0) -> float:
    """Return the number in [``low``, ``high``] nearest to ``p``."""
    return min(max(p, low), high)


def logit(p: float) -> float:
    """Return ln(p / (1 - p)), the log odds of ``p`` in (0, 1)."""
    return math.log(p) - math.log1p(-p)


def expit(x: float) -> float:
    """Return 1 / (1 + exp(-x)), the inverse of `logit`; no overflow at either end."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
