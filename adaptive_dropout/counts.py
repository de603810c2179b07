"""What counts as a count: an integer of at least 1. Standard library only; everything may import it."""

from __future__ import annotations

__all__ = ["check_count"]


def check_count(value: object, name: str, least: int = 1) -> int:
    """Return ``value`` if it is an integer of at least ``least``; ``name`` is what the message calls it.

    Raises:
        TypeError: ``value`` is no integer (a float, a string, a bool).
        ValueError: ``value`` is less than ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} has to be a whole number, but got {value!r}")
    if value < least:
        raise ValueError(f"{name} has to be at least {least}, but got {value}")
    return value
