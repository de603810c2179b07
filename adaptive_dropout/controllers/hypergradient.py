"""Steering each rate by what the next optimizer step would do to the validation loss if it were higher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptive_dropout.controllers.adam import AdamState, first_adam_state, follow_gradients
from adaptive_dropout.controllers.base import Controller, State, own_state
from adaptive_dropout.controllers.pace import check_span

__all__ = ["HypergradientController"]


@dataclass(frozen=True)
class HypergradientController(Controller):
    """Moves each rate against the derivative of the validation loss one step ahead, with Adam on the logits.

    Rates stay in [0.001, 0.9]. One step ahead says little of what dropout does in the end: from a high start the rule
    alone may climb, so it belongs into a rewind, ``RewindController(HypergradientController())``.

    Args:
        span: how many logits a rate whose gradients always agree moves in a whole run. The default, 0.2 a decision in
            a run of 50, is as fast in noise as 0.1 every ten steps of 2000: a mean of four gradients is half as noisy.

    Signals: ``hypergradient/<rate>`` for each rate (see `adaptive_dropout.signals.hypergradient`), ``step`` and
    ``total_steps``. The first decision, there and after a rewind, takes the gradients in and moves nothing.

    >>> controller = HypergradientController()
    >>> signals = {"hypergradient/fc": -1e-4, "step": 50, "total_steps": 100}
    >>> state = controller.update(controller.init({"fc": 0.3}), signals)
    >>> state = controller.update(state, signals | {"step": 52})  # 2 % of the run later
    >>> round(state.rates["fc"], 3), state.reason
    (0.344, 'hypergradient: 1 raised')

    Source: Baydin et al. (2018), for the rates of dropout.
    """

    span: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", check_span(self.span))

    def needs(self) -> frozenset[str]:
        """Return the hypergradient."""
        return frozenset({"hypergradient"})

    def init(self, rates: Mapping[str, float]) -> AdamState:
        """Return the rates and no gradients yet."""
        return first_adam_state(rates)

    def update(self, state: State, signals: Mapping[str, float]) -> AdamState:
        """Return the rates moved against their gradients."""
        return follow_gradients(own_state(state, AdamState), signals, "hypergradient", self.span)
