"""One decision of any controller, as every run and every replay of a run makes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from adaptive_dropout.controllers.base import Controller, State

__all__ = ["NO_DECISION", "decide"]

NO_DECISION = "no decision: "
"""How the reason begins where none was made."""


def decide(controller: Controller, state: State, signals: Mapping[str, float]) -> State:
    """Return the next decision; where the signals allow none, ``state`` with the reason, so that the rates stay.

    They allow none where a training loss is NaN or infinite, where the validation loss is and the rule has nothing to
    go back to, or where a signal that the rule needs is missing.

    >>> from adaptive_dropout.controllers import GapController
    >>> controller = GapController()
    >>> decide(controller, controller.init({"fc": 0.5}), {"val_loss": 1.0}).reason
    "no decision: no signal named 'train_loss'; there are ['val_loss']"
    """
    broken = _not_finite(signals)
    if broken:
        return _undecided(state, ", ".join(f"{name} is {loss}" for name, loss in broken.items()))
    val_loss = signals.get("val_loss", 0.0)
    try:
        return controller.update(state, signals)
    except KeyError as error:
        return _undecided(state, str(error.args[0]))
    except ValueError:
        if math.isfinite(val_loss):
            raise
        return _undecided(state, f"val_loss is {val_loss}")


def _undecided(state: State, why: str) -> State:
    return replace(state, improved=False, rewind=False, restart=False, reason=NO_DECISION + why)


def _not_finite(signals: Mapping[str, float]) -> dict[str, float]:
    """Return the training losses that are NaN or infinite though the validation loss is not."""
    losses = {name: signals[name] for name in ("train_loss", "clean_loss") if name in signals}
    diverged = not math.isfinite(signals.get("val_loss", 0.0))
    return {} if diverged else {name: loss for name, loss in losses.items() if not math.isfinite(loss)}
