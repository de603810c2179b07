"""Steering each rate by how the network has learned to respond to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptive_dropout.controllers.adam import AdamState, first_adam_state, follow_gradients
from adaptive_dropout.controllers.base import Controller, State, own_state
from adaptive_dropout.controllers.pace import check_span

__all__ = ["ResponseController"]


@dataclass(frozen=True)
class ResponseController(Controller):
    """Moves each rate against the derivative of the validation loss along a learned response, with Adam on the logits.

    Rates stay in [0.001, 0.9]. While it steers, training draws each example's rates around them. It belongs into a
    rewind, ``RewindController(ResponseController())``.

    Args:
        span: how many logits a rate whose gradients always agree moves in a whole run. The default, 0.3 a decision in
            a run of 50, is as fast in noise as 0.15 every ten steps of 2000: a mean of four gradients is half as noisy.

    Signals: ``response/<rate>`` for each rate (see `adaptive_dropout.signals.Response`), ``step`` and ``total_steps``.
    The first decision, there and after a rewind, takes the gradients in and moves nothing.

    Source: MacKay et al. (2019), self-tuning networks, here with the response inside the dropout layers.
    """

    span: float = 15.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", check_span(self.span))

    def needs(self) -> frozenset[str]:
        """Return the response."""
        return frozenset({"response"})

    def init(self, rates: Mapping[str, float]) -> AdamState:
        """Return the rates and no gradients yet."""
        return first_adam_state(rates)

    def update(self, state: State, signals: Mapping[str, float]) -> AdamState:
        """Return the rates moved against their gradients."""
        return follow_gradients(own_state(state, AdamState), signals, "response", self.span)
