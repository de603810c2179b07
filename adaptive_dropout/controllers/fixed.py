"""The controller that moves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptive_dropout.controllers.base import Controller, State

__all__ = ["FixedController"]


@dataclass(frozen=True)
class FixedController(Controller):
    """Leaves the rates alone: the reference for every other rule, and in a `Partition` the rule for rates to keep.

    >>> controller = FixedController()
    >>> controller.update(controller.init({"fc": 0.5}), {"train_loss": 1.0, "val_loss": 9.0}).rates
    {'fc': 0.5}
    """

    def init(self, rates: Mapping[str, float]) -> State:
        """Return the rates as they are."""
        return State(rates)

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        """Return the rates as they were; reads no signal."""
        return State(state.rates)
