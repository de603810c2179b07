"""How rates move: all by the same p, or all by the same logits, and how much of the run a move may take.

On the scale of logits, ln(p / (1 - p)), a step means the same near 0, at a half and near 1. A rule that moves logits
has a budget for the whole run, and spends the share of the run passed since its last decision. So it moves
equally fast whatever the length of the run and however often it validates.
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptive_dropout.controllers.reading import read_signal
from adaptive_dropout.probability import clip, expit, logit

__all__ = ["HIGH", "LOW", "between", "raise_until_felt", "share_of_run", "shift", "shift_logits"]

LOW, HIGH = 0.001, 0.9
"""The bounds of rules that move logits: at 0 and 1 a logit is infinite."""

FELT = 0.2  # a rise to a p below this does next to nothing


def shift(rates: Mapping[str, float], change: float) -> tuple[dict[str, float], str]:
    """Return the rates moved by ``change`` but not out of [0, 1], and the outcome in words.

    >>> shift({"fc": 0.25}, 0.5)
    ({'fc': 0.75}, 'raised by 0.5')
    >>> shift({"fc": 0.0}, -0.5)
    ({'fc': 0.0}, 'cannot be lowered further')
    """
    moved = {name: clip(p + change) for name, p in rates.items()}
    verb = "raised" if change > 0 else "lowered"
    return moved, f"cannot be {verb} further" if moved == rates else f"{verb} by {abs(change):.3g}"


def shift_logits(rates: Mapping[str, float], change: float) -> dict[str, float]:
    """Return the rates with ``change`` added to each logit, within [LOW, HIGH]; a change of 0 leaves them as they are.

    >>> {name: round(p, 3) for name, p in shift_logits({"fc": 0.5, "conv": 0.0}, 1.0).items()}
    {'fc': 0.731, 'conv': 0.003}
    """
    if change == 0.0:
        return dict(rates)
    moved = {p: clip(expit(_bounded_logit(p) + change), LOW, HIGH) for p in set(rates.values())}  # most are alike
    return {name: moved[p] for name, p in rates.items()}


def between(rates: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    """Return the rates halfway from ``rates`` to ``others`` on the scale of logits, within [LOW, HIGH].

    >>> {name: round(p, 3) for name, p in between({"fc": 0.8}, {"fc": 0.2}).items()}
    {'fc': 0.5}
    """
    return {name: expit((_bounded_logit(p) + _bounded_logit(others[name])) / 2) for name, p in rates.items()}


def _bounded_logit(p: float) -> float:
    return logit(clip(p, LOW, HIGH))


def raise_until_felt(rates: Mapping[str, float]) -> dict[str, float]:
    """Return the rates, each at least 0.2, where dropout begins to be felt.

    >>> raise_until_felt({"fc": 0.05, "conv": 0.4})
    {'fc': 0.2, 'conv': 0.4}
    """
    return {name: max(p, FELT) for name, p in rates.items()}


def share_of_run(signals: Mapping[str, float], last_step: int) -> float:
    """Return the share of the run, in [0, 1], that has passed since ``last_step``.

    Raises:
        KeyError: ``step`` or ``total_steps`` is missing.
        ValueError: the step is before ``last_step``.
    """
    step, total = read_signal(signals, "step"), read_signal(signals, "total_steps")
    if step < last_step:
        raise ValueError(f"signal 'step' has to grow from decision to decision, but fell from {last_step} to {step}")
    return min(1.0, (step - last_step) / max(total, 1.0))
