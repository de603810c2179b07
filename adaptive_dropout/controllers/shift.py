"""Moving all rates by the same amount, the one move of the simple rules."""

from __future__ import annotations

from collections.abc import Mapping

from adaptive_dropout.probability import clip

__all__ = ["shift"]


def shift(rates: Mapping[str, float], change: float) -> tuple[dict[str, float], str]:
    """Return the rates moved by ``change`` but not out of [0, 1], and what happened in words.

    >>> shift({"fc": 0.25}, 0.5)
    ({'fc': 0.75}, 'raised by 0.5')
    >>> shift({"fc": 0.0}, -0.5)
    ({'fc': 0.0}, 'cannot be lowered further')
    """
    moved = {name: clip(p + change) for name, p in rates.items()}
    verb = "raised" if change > 0 else "lowered"
    return moved, f"cannot be {verb} further" if moved == rates else f"{verb} by {abs(change):.3g}"
