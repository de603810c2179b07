"""What counts as a count: a positive integer. Standard library only; everything may import it."""

from __future__ import annotations

__all__ = ["check_count"]


def check_count(value: object, name: str) -> int:
    """Return ``value`` if it is a positive integer; ``name`` is what the message calls it.

    Raises:
        TypeError: ``value`` is no integer (a float, a string, a bool).
        ValueError: ``value`` is less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} has to be a positive integer, but got {value!r}")
    if value < 1:
        raise ValueError(f"{name} has to be at least 1, but got {value}")
    return value
