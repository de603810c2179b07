"""The names of a run's numbers in every logger. A change here breaks dashboards."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from adaptive_dropout.controllers import State

__all__ = [
    "ALPHA",
    "AXIS",
    "CONFIG",
    "CONTROL",
    "FIGURE",
    "HISTOGRAM",
    "RATE",
    "SPARSITY",
    "SUMMARY",
    "TABLE",
    "TRACE",
    "decision_metrics",
    "metric_keys",
    "rate_keys",
    "state_metrics",
]

RATE = "dropout"
ALPHA = "dropout_alpha"  # p / (1 - p) of learned rates
SPARSITY = "dropout_sparsity"  # the part of the weights that a sparse layer drops
CONTROL = "dropout_control"

LONGEST = 200  # characters of a name in a metric

# In W&B only.
AXIS = "trainer/global_step"  # Lightning's name for the steps of the horizontal axis
CONFIG = "dropout_control"  # controller, monitor and initial rates
HISTOGRAM = f"{CONTROL}/rates"
TRACE = f"{CONTROL}/trace"  # the lines of decisions.jsonl, to be read back
SUMMARY = "dropout_summary"
TABLE = "dropout_decisions"
FIGURE = "dropout_rates"


def rate_keys(names: Iterable[str]) -> Mapping[str, str]:
    """Return ``{rate name: metric name}``, such as ``{"encoder.dropout1": "dropout/encoder_dropout1"}``.

    Dots become underscores: W&B sorts and filters only names of letters, digits, underscores and slashes. If two rates
    would share a name, the later one gets a number.
    """
    return metric_keys(RATE, names)


def state_metrics(state: object) -> dict[str, float]:
    """Return every number in a controller's state as ``{"dropout_control/<field>": number}``.

    Flags count as 0 and 1. None and text are left out, and so are the rates, which have names of their own. The fields
    of a nested state are named ``dropout_control/<field of the outer state>/<field>``.
    """
    numbers = dict(_numbers(state))
    keys = metric_keys(CONTROL, numbers)
    return {keys[name]: number for name, number in numbers.items()}


def decision_metrics(state: State, signals: Mapping[str, float], logged: Container[str]) -> dict[str, float]:
    """Return the rates as ``dropout/<rate>``, the rest of ``state`` and the signals as ``dropout_control/<name>``.

    Signals that are metrics ``logged`` elsewhere are left out: they keep the names that they have there.
    """
    keys = rate_keys(state.rates)
    metrics = {keys[name]: p for name, p in state.rates.items()} | state_metrics(state)
    own = [name for name in sorted(signals) if name in ("val_loss", "train_loss") or name not in logged]
    metrics |= {key: signals[name] for name, key in metric_keys(CONTROL, own).items()}
    if "train_loss" in signals:
        metrics[f"{CONTROL}/gap"] = signals["val_loss"] - signals["train_loss"]
    return metrics


def metric_keys(prefix: str, names: Iterable[str]) -> Mapping[str, str]:
    """Return ``{name: "<prefix>/<name>"}`` with all but letters, digits, underscores and slashes replaced.

    Of a longer name the first `LONGEST` characters are kept.
    """
    return _metric_keys(prefix, tuple(names))


@lru_cache(maxsize=16)  # the same at every decision: for a thousand layers they take longer than the decision
def _metric_keys(prefix: str, names: tuple[str, ...]) -> Mapping[str, str]:
    keys: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "_/") else "_" for c in name[:LONGEST])
        key, number = f"{prefix}/{plain}", 2
        while key in taken:
            key, number = f"{prefix}/{plain}_{number}", number + 1
        keys[name] = key
        taken.add(key)
    return MappingProxyType(keys)


def _numbers(part: object, path: str = "") -> Iterable[tuple[str, float]]:
    # dataclasses.asdict would copy all of the state, deeply, at every decision.
    fields = part if isinstance(part, Mapping) else vars(part)
    for name, value in fields.items():
        if isinstance(value, (bool, int, float)):
            yield path + name, float(value)
        elif name != "rates" and (isinstance(value, Mapping) or dataclasses.is_dataclass(value)):
            yield from _numbers(value, f"{path}{name}/")
