"""Asking a controller: for the state that a run begins with, for each decision, and for what is logged of one."""

from __future__ import annotations

import math
from collections.abc import Container

from lightning.pytorch.utilities import rank_zero_warn

from adaptive_dropout.controllers import Controller, State
from adaptive_dropout.controllers.deciding import decide, not_finite
from adaptive_dropout.tracking.names import CONTROL, metric_keys, rate_keys, state_metrics

__all__ = ["begun", "check_not_diverged", "decided", "decision_metrics"]


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


def decision_metrics(state: State, signals: dict[str, float], logged: Container[str]) -> dict[str, float]:
    """Return the rates as ``dropout/<rate>``, the rest of ``state`` and the signals as ``dropout_control/<name>``.

    Metrics ``logged`` elsewhere, by which a controller can also steer, keep the names they have there.
    """
    keys = rate_keys(state.rates)
    metrics = {keys[name]: p for name, p in state.rates.items()} | state_metrics(state)
    own = [name for name in sorted(signals) if name in ("val_loss", "train_loss") or name not in logged]
    metrics |= {key: signals[name] for name, key in metric_keys(CONTROL, own).items()}
    if "train_loss" in signals:
        metrics[f"{CONTROL}/gap"] = signals["val_loss"] - signals["train_loss"]
    return metrics
