"""One decision of any controller, as every run and every replay of a run makes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from adaptive_dropout.controllers.base import Controller, State

__all__ = ["decide", "not_finite"]


def decide(controller: Controller, state: State, signals: Mapping[str, float]) -> State:
    """Return the next decision; the rates stay, and the reason says why, where a training loss alone is not finite.

    Raises:
        KeyError, ValueError: as ``controller.update``.
    """
    broken = not_finite(signals)
    if not broken:
        return controller.update(state, signals)
    reason = "no decision: " + ", ".join(f"{name} is {loss}" for name, loss in broken.items())
    return replace(state, improved=False, rewind=False, restart=False, reason=reason)


def not_finite(signals: Mapping[str, float]) -> dict[str, float]:
    """Return the training losses that are NaN or infinite though the validation loss is not.

    >>> not_finite({"train_loss": float("nan"), "val_loss": 0.5})
    {'train_loss': nan}
    """
    losses = {name: signals[name] for name in ("train_loss", "clean_loss") if name in signals}
    diverged = not math.isfinite(signals.get("val_loss", 0.0))
    return {} if diverged else {name: loss for name, loss in losses.items() if not math.isfinite(loss)}
