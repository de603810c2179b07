"""Adam on the logits of rates: each moves against its own gradient, the further the better its gradients agree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adaptive_dropout.controllers.base import State
from adaptive_dropout.controllers.logits import shift_logits
from adaptive_dropout.controllers.pace import share_of_run
from adaptive_dropout.controllers.reading import read_signal

__all__ = ["AdamState", "adam_step", "first_adam_state", "follow_gradients"]

BETA1, BETA2 = 0.9, 0.99
EPS = 1e-12  # derivatives by a logit are small: 1e-5 nats is common


@dataclass(frozen=True)
class AdamState(State):
    """The rates, and the moments of their gradients.

    Args:
        rates: as in `State`, like the four fields after it.
        improved: always False.
        rewind: always False.
        restart: always False.
        reason: why the rates moved.
        step: optimizer steps at the last validation; None before the first.
        updates: how many gradients there were.
        means: running mean of each rate's gradient, by the rate's name.
        squares: running mean of its square.
    """

    step: int | None = None
    updates: int = 0
    means: Mapping[str, float] = field(default_factory=dict)
    squares: Mapping[str, float] = field(default_factory=dict)


def first_adam_state(rates: Mapping[str, float]) -> AdamState:
    """Return the state before the first gradient."""
    return AdamState(rates, means=dict.fromkeys(rates, 0.0), squares=dict.fromkeys(rates, 0.0))


def follow_gradients(before: AdamState, signals: Mapping[str, float], kind: str, span: float) -> AdamState:
    """Return the rates after one step on the signals ``<kind>/<rate>``; the first only begins the clock.

    Args:
        before: the rates and moments so far.
        signals: the gradient of each rate, ``step`` and ``total_steps``.
        kind: what the signals are called.
        span: how many logits a rate whose gradients always agree moves in a whole run.

    Raises:
        KeyError, ValueError: as `read_signal`.
    """
    gradients = {name: read_signal(signals, f"{kind}/{name}") for name in before.rates}
    step = int(read_signal(signals, "step"))
    lr = 0.0 if before.step is None else span * share_of_run(signals, before.step)
    after = adam_step(before, gradients, lr)
    moved = [p - before.rates[name] for name, p in after.rates.items()]
    counts = {"raised": sum(m > 0 for m in moved), "lowered": sum(m < 0 for m in moved)}
    reason = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
    return replace(after, step=step, reason=f"{kind}: {reason}" if reason else "")


def adam_step(before: AdamState, gradients: Mapping[str, float], lr: float) -> AdamState:
    """Return the state after one step of Adam with betas 0.9 and 0.99.

    Args:
        before: the rates and moments so far.
        gradients: of every rate: the derivative, by its logit, of what is to be minimised.
        lr: how many logits a rate moves whose gradients agree.

    Source: Kingma and Ba (2015), algorithm 1.
    """
    updates = before.updates + 1
    means = {name: BETA1 * before.means[name] + (1 - BETA1) * g for name, g in gradients.items()}
    squares = {name: BETA2 * before.squares[name] + (1 - BETA2) * g * g for name, g in gradients.items()}
    rates: dict[str, float] = {}
    for name, p in before.rates.items():
        mean, square = means[name] / (1 - BETA1**updates), squares[name] / (1 - BETA2**updates)
        rates |= shift_logits({name: p}, -lr * mean / (math.sqrt(square) + EPS))
    return replace(before, rates=rates, updates=updates, means=means, squares=squares)
