"""Moving rates on the scale of their log odds, where a step means the same near 0, at a half and near 1."""

from __future__ import annotations

from collections.abc import Mapping

from adaptive_dropout.probability import clip, expit, logit

__all__ = ["HIGH", "LOW", "raise_to", "shift_logits"]

LOW, HIGH = 0.001, 0.9
"""Where rules that move logits stop: at 0 and 1 a logit is infinite."""


def shift_logits(rates: Mapping[str, float], change: float) -> dict[str, float]:
    """Return the rates with ``change`` added to each logit, within [LOW, HIGH]; no change leaves them as they are.

    >>> {name: round(p, 3) for name, p in shift_logits({"fc": 0.5, "conv": 0.0}, 1.0).items()}
    {'fc': 0.731, 'conv': 0.003}
    """
    if change == 0.0:
        return dict(rates)
    return {name: clip(expit(logit(clip(p, LOW, HIGH)) + change), LOW, HIGH) for name, p in rates.items()}


def raise_to(rates: Mapping[str, float], floor: float) -> dict[str, float]:
    """Return the rates, those below ``floor`` raised to it."""
    return {name: max(p, floor) for name, p in rates.items()}
