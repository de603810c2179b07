"""Arithmetic of a probability: clipped, as log odds and back. Standard library only; everything may import it."""

from __future__ import annotations

import math

__all__ = ["clip", "expit", "logit"]


def clip(p: float, low: float = 0.0, high: float = 1.0) -> float:
    """Return the number in [``low``, ``high``] nearest to ``p``."""
    return low if p < low else high if p > high else p


def logit(p: float) -> float:
    """Return ln(p / (1 - p)), the log odds of ``p`` in (0, 1)."""
    return math.log(p) - math.log1p(-p)


def expit(x: float) -> float:
    """Return 1 / (1 + exp(-x)), the inverse of `logit`; no overflow at either end."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
