"""Checks of numbers that rules are given: settings when a rule is built, and what states and signals hold."""

from __future__ import annotations

import math
from typing import Any

from adaptive_dropout.checks import check_p

__all__ = ["check_change", "check_is_number", "check_logits_per_run", "check_number", "to_float"]


def check_number(value: object, name: str) -> float:
    """Return ``value`` as a float; TypeError if it is not a number, ValueError if it is NaN or infinite."""
    number = to_float(check_is_number(value, name))
    if not math.isfinite(number):
        raise ValueError(f"{name} has to be a finite number, but got {number}")
    return number


def check_is_number(value: object, name: str) -> Any:
    """Return ``value`` if it is a number, else raise a TypeError."""
    if isinstance(value, (str, bytes, bool)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} has to be a number, but got {value!r}")
    return value


def check_change(value: object, name: str = "change") -> float:
    """Return ``value``, how far p moves in one decision, as a float in (0, 1]."""
    change = check_p(value, name)
    if change == 0.0:
        raise ValueError(f"{name} has to be above 0, or the rates never move, but got 0.0")
    return change


def check_logits_per_run(value: object, name: str = "span") -> float:
    """Return ``value``, how many logits a rate can move in a whole run, as a float above 0."""
    logits = check_number(value, name)
    if logits <= 0.0:
        raise ValueError(f"{name} has to be above 0, or the rates never move, but got {logits}")
    return logits


def to_float(value: Any) -> float:
    """Return ``value``, a number, as a float, which is infinite beyond the largest."""
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if value > 0 else -math.inf
