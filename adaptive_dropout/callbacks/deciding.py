"""Asking a controller: for the state that a run begins with, and for one decision after another."""

from __future__ import annotations

import math

from lightning.pytorch.utilities import rank_zero_warn

from adaptive_dropout.controllers import Controller, State
from adaptive_dropout.controllers.deciding import decide, not_finite

__all__ = ["begun", "check_not_diverged", "decided"]


def begun(controller: Controller, saved: State | None, rates: dict[str, float]) -> State:
    """Return the state that a run of a model with ``rates`` begins with: the one ``saved`` by a checkpoint, if any.

    Raises:
        ValueError: it was saved for other rates.
    """
    if saved is None:
        return controller.init(rates)
    if set(saved.rates) != set(rates):
        raise ValueError(f"the state was saved for the rates {sorted(saved.rates)}; the model has {sorted(rates)}")
    return saved


def check_not_diverged(monitor: str, signals: dict[str, float]) -> None:
    """Raise a ValueError where the validation loss is NaN or infinite, for a run that cannot be rewound."""
    if not math.isfinite(signals["val_loss"]):
        raise ValueError(
            f"monitor {monitor!r} is {signals['val_loss']} at step {int(signals['step'])}; "
            "the run has diverged: lower the learning rate, or check the data"
        )


def decided(controller: Controller, state: State, signals: dict[str, float]) -> State:
    """Return the next decision; where a training loss alone is NaN or infinite, warn and leave the rates.

    Raises:
        KeyError: a signal that ``controller`` needs is missing.
    """
    if broken := not_finite(signals):
        rank_zero_warn(f"no decision at step {int(signals['step'])}, where {broken} is not finite; check the data")
    try:
        return decide(controller, state, signals)
    except KeyError as error:
        if "train_loss" in signals:
            raise
        hint = "training_step has to return its loss, under manual optimization too"
        raise KeyError(f"{error.args[0]}; {hint}") from error
