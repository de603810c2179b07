"""Steering each rate by a derivative of the validation loss, with Adam on the logits.

The two rules differ in how the derivative is measured: one optimizer step ahead, or by a response that the network has
learned. Either belongs into a rewind, as in ``RewindController(HypergradientController())``.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from adaptive_dropout.controllers.base import Controller, State, check_state
from adaptive_dropout.controllers.moves import share_of_run, shift_logits
from adaptive_dropout.controllers.numbers import check_logits_per_run
from adaptive_dropout.controllers.reading import read_signal

__all__ = ["AdamState", "GradientController", "HypergradientController", "ResponseController"]

BETA1, BETA2 = 0.9, 0.99
EPS = 1e-12  # derivatives by a logit are small: 1e-5 nats is common


@dataclass(frozen=True)
class AdamState(State):
    """The rates, and the moments of their gradients.

    Args:
        rates, improved, rewind, restart, reason: as in `State`; the three flags are always False.
        step: optimizer steps at the last validation; None before the first.
        updates: how many gradients there were.
        means: running mean of each rate's gradient, by the rate's name.
        squares: running mean of its square.
    """

    step: int | None = None
    updates: int = 0
    means: Mapping[str, float] = field(default_factory=dict)
    squares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class GradientController(Controller, ABC):
    """Moves each rate against its own gradient, the further the better its gradients agree; a subclass names them.

    Rates stay in [0.001, 0.9]. The first decision, in a run and after a rewind, takes the gradients in and moves
    nothing.

    Args:
        span: how many logits a rate whose gradients always agree moves in a whole run.

    Signals: ``<kind>/<rate>``, the gradient of each rate, ``step`` and ``total_steps``.
    """

    span: float
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", check_logits_per_run(self.span))

    def needs(self) -> frozenset[str]:
        """Return the kind of gradient."""
        return frozenset({self.kind})

    def init(self, rates: Mapping[str, float]) -> AdamState:
        """Return the rates and no gradients yet."""
        return AdamState(rates, means=dict.fromkeys(rates, 0.0), squares=dict.fromkeys(rates, 0.0))

    def update(self, state: State, signals: Mapping[str, float]) -> AdamState:
        """Return the rates moved against their gradients."""
        before = check_state(state, AdamState)
        gradients = {name: read_signal(signals, f"{self.kind}/{name}") for name in before.rates}
        step = int(read_signal(signals, "step"))
        lr = 0.0 if before.step is None else self.span * share_of_run(signals, before.step)
        after = _step_adam(before, gradients, lr)
        moves = [p - before.rates[name] for name, p in after.rates.items()]
        counts = {"raised": sum(move > 0 for move in moves), "lowered": sum(move < 0 for move in moves)}
        reason = ", ".join(f"{count} {how}" for how, count in counts.items() if count)
        return replace(after, step=step, reason=f"{self.kind}: {reason}" if reason else "")


@dataclass(frozen=True)
class HypergradientController(GradientController):
    """Moves each rate against the derivative of the validation loss one step ahead, with Adam on the logits.

    Rates stay in [0.001, 0.9]. One step ahead says little about the effect of dropout in the end: from a high start the
    rule alone may climb, so it belongs into a rewind, ``RewindController(HypergradientController())``.

    Args:
        span: how many logits a rate whose gradients always agree moves in a whole run. The default, 0.2 a decision in
            a run of 50, is as fast in noise as 0.1 every ten steps of 2000: a mean of four gradients is half as noisy.

    Signals: ``hypergradient/<rate>`` for each rate (see `adaptive_dropout.signals.hypergradient`), ``step`` and
    ``total_steps``. The first decision, in a run and after a rewind, takes the gradients in and moves nothing.

    >>> controller = HypergradientController()
    >>> signals = {"hypergradient/fc": -1e-4, "step": 50, "total_steps": 100}
    >>> state = controller.update(controller.init({"fc": 0.3}), signals)
    >>> state = controller.update(state, signals | {"step": 52})  # 2 % of the run later
    >>> round(state.rates["fc"], 3), state.reason
    (0.344, 'hypergradient: 1 raised')

    Source: Baydin et al. (2018), for the rates of dropout.
    """

    span: float = 10.0
    kind: ClassVar[str] = "hypergradient"


@dataclass(frozen=True)
class ResponseController(GradientController):
    """Moves each rate against the derivative of the validation loss along a learned response, with Adam on the logits.

    Rates stay in [0.001, 0.9]. While it steers, training draws each example's rates around them. It belongs into a
    rewind, ``RewindController(ResponseController())``.

    Args:
        span: how many logits a rate whose gradients always agree moves in a whole run. The default, 0.3 a decision in
            a run of 50, is as fast in noise as 0.15 every ten steps of 2000: a mean of four gradients is half as noisy.

    Signals: ``response/<rate>`` for each rate (see `adaptive_dropout.signals.Response`), ``step`` and ``total_steps``.
    The first decision, in a run and after a rewind, takes the gradients in and moves nothing.

    Source: MacKay et al. (2019), self-tuning networks, here with the response inside the dropout layers.
    """

    span: float = 15.0
    kind: ClassVar[str] = "response"


def _step_adam(before: AdamState, gradients: Mapping[str, float], lr: float) -> AdamState:
    """Return the state after one step of Adam with betas 0.9 and 0.99.

    Args:
        before: the rates and moments so far.
        gradients: for every rate, the derivative by its logit of what is to be minimised.
        lr: how many logits a rate moves if its gradients agree.

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
