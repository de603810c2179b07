"""What a run has of a controller: the state to begin with, what is logged of a decision, and why there is none."""

from __future__ import annotations

from collections.abc import Container, Mapping

from adaptive_dropout.controllers import Controller, State
from adaptive_dropout.controllers.base import NO_DECISION
from adaptive_dropout.tracking.names import CONTROL, metric_keys, rate_keys, state_metrics

__all__ = ["begun", "decision_metrics", "why_undecided"]


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


def why_undecided(state: State, signals: Mapping[str, float]) -> str | None:
    """Return why ``state``, the answer to ``signals``, is not a decision, and the remedy; None where it is one."""
    if not state.reason.startswith(NO_DECISION):
        return None
    remedy = "lower the learning rate, or check the data"
    if "'train_loss'" in state.reason:
        remedy = "training_step has to return its loss for this rule"
    return f"{state.reason} at step {int(signals['step'])}; {remedy}"


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
