"""Checks that a controller's settings pass at construction, each error naming the field and the value."""

from __future__ import annotations

import math

from adaptive_dropout.checks import check_p
from adaptive_dropout.controllers.base import Controller

__all__ = ["check_change", "check_controller", "check_number"]


def check_number(value: object, name: str) -> float:
    """Return ``value`` as a float; TypeError if it is no number, ValueError if it is NaN or infinite."""
    if isinstance(value, (str, bytes, bool)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} has to be a number, but got {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} has to be a finite number, but got {number}")
    return number


def check_change(value: object, name: str = "change") -> float:
    """Return ``value``, how far p moves in one decision, as a float in (0, 1]."""
    change = check_p(value, name)
    if change == 0.0:
        raise ValueError(f"{name} has to be above 0, or the rates never move, but got 0.0")
    return change


def check_controller(value: object, name: str = "controller") -> Controller:
    """Return ``value`` if it is a controller (an instance, not the class), else raise a TypeError."""
    if not isinstance(value, Controller):
        raise TypeError(f"{name} has to be a Controller such as FixedController(), but got {value!r}")
    return value
