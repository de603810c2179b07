"""What bends the decisions of another controller and remembers nothing itself."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass

from adaptive_dropout.controllers.base import Controller, State
from adaptive_dropout.controllers.settings import check_controller

__all__ = ["Wrapper"]


@dataclass(frozen=True)
class Wrapper(Controller, ABC):
    """A controller around another one, whose state is its own state too; a subclass adds settings and ``update``.

    The other controller goes on from the rates as they really are, not from where it wanted them.

    Args:
        controller: the rule whose decisions are bent.
    """

    controller: Controller

    def __post_init__(self) -> None:
        check_controller(self.controller)

    def needs(self) -> frozenset[str]:
        """Return what the other controller needs."""
        return self.controller.needs()

    def init(self, rates: Mapping[str, float]) -> State:
        """Return the other controller's first state."""
        return self.controller.init(rates)
