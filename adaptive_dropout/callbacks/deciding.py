"""Asking a controller: for the state that a run begins with, for each decision, and for what is logged of one."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import replace

from adaptive_dropout.controllers import Controller, State
from adaptive_dropout.controllers.deciding import decide, not_finite
from adaptive_dropout.tracking.names import CONTROL, metric_keys, rate_keys, state_metrics

__all__ = ["NoDecisionError", "begun", "decided", "decision_metrics", "undecided"]


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


class NoDecisionError(Exception):
    """What has been measured does not allow a decision."""


def decided(controller: Controller, state: State, signals: dict[str, float], rewinds: bool) -> State:
    """Return the next decision; where a training loss alone is NaN or infinite, one that leaves the rates.

    Args:
        controller: the rule.
        state: its last decision.
        signals: what was measured.
        rewinds: whether there are weights to go back to.

    Raises:
        NoDecisionError: the validation loss is NaN or infinite with nothing to go back to, or a signal is missing.
    """
    if not rewinds and not math.isfinite(signals["val_loss"]):
        raise NoDecisionError(
            f"the validation loss is {signals['val_loss']}; lower the learning rate, or check the data"
        )
    if broken := not_finite(signals):
        raise NoDecisionError(f"{', '.join(broken)} is not finite; check the data")
    try:
        return decide(controller, state, signals)
    except KeyError as error:
        hint = "" if "train_loss" in signals else "; training_step has to return its loss for this rule"
        raise NoDecisionError(f"{error.args[0]}{hint}") from error


def undecided(state: State, reason: str) -> State:
    """Return ``state`` as a decision that leaves everything as it is."""
    return replace(state, improved=False, rewind=False, restart=False, reason=reason)


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
