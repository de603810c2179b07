"""Checks of arguments: a drop probability, and a count. Standard library only; everything may import it."""

from __future__ import annotations

import math

__all__ = ["check_count", "check_p"]

LONGEST = 200  # characters of a value in an error: a file may hold a text where a number belongs


def check_p(p: object, name: str = "p") -> float:
    """Return ``p`` as a float, or raise with one line that says why it is not a probability.

    Args:
        p: what the user gave; a real number in [0, 1], both ends included.
        name: what the message calls it.

    Raises:
        TypeError: ``p`` is not a number (a string, None, a bool).
        ValueError: ``p`` is NaN or outside [0, 1].
    """
    if isinstance(p, (str, bytes, bool)) or not hasattr(p, "__float__"):
        raise TypeError(f"{name} has to be a number between 0 and 1, but got {_short(p)}")
    try:
        value = float(p)
    except OverflowError:  # an integer of more than 308 digits
        value = math.inf
    if not 0.0 <= value <= 1.0:  # NaN fails this comparison too
        raise ValueError(f"{name} has to be between 0 and 1, but got {value}")
    return value


def check_count(value: object, name: str, least: int = 1) -> int:
    """Return ``value`` if it is an integer of at least ``least``; ``name`` is what the message calls it.

    Raises:
        TypeError: ``value`` is not an integer (a float, a string, a bool).
        ValueError: ``value`` is less than ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} has to be a whole number, but got {_short(value)}")
    if value < least:
        raise ValueError(f"{name} has to be at least {least}, but got {value}")
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
