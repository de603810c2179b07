"""How fast a rule may move: so many logits over the whole run, whatever its length and however often it validates."""

from __future__ import annotations

from collections.abc import Mapping

from adaptive_dropout.controllers.reading import read_signal
from adaptive_dropout.controllers.settings import check_number

__all__ = ["check_span", "share_of_run"]


def check_span(value: object, name: str = "span") -> float:
    """Return ``value``, logits a run, as a float above 0."""
    span = check_number(value, name)
    if span <= 0.0:
        raise ValueError(f"{name} has to be above 0, or the rates never move, but got {span}")
    return span


def share_of_run(signals: Mapping[str, float], last_step: int) -> float:
    """Return which part of the run, in [0, 1], has passed since ``last_step``.

    Raises:
        KeyError: ``step`` or ``total_steps`` is missing.
        ValueError: the step is before ``last_step``.
    """
    step, total = read_signal(signals, "step"), read_signal(signals, "total_steps")
    if step < last_step:
        raise ValueError(f"signal 'step' has to grow from decision to decision, but fell from {last_step} to {step}")
    return min(1.0, (step - last_step) / max(total, 1.0))
