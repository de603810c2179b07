"""Several rules on the same rates, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from adaptive_dropout.controllers.base import Controller, State, at_rates, changed, check_controller, check_state

__all__ = ["Chain", "ChainState"]


@dataclass(frozen=True)
class ChainState(State):
    """The rates after the last rule, and each rule's own state.

    Args:
        rates: as in `State`, like the four fields after it.
        improved, rewind, restart: True if it is True for any rule.
        reason: the rules' reasons.
        states: each rule's state, in order.
    """

    states: tuple[State, ...] = ()


@dataclass(frozen=True)
class Chain(Controller):
    """Gives each rule the rates that the one before it decided on; all see the same signals.

    Args:
        controllers: the rules in order, at least one.

    >>> from adaptive_dropout.controllers import FixedController, GapController
    >>> controller = Chain((GapController(change=0.25), FixedController()))
    >>> controller.update(controller.init({"fc": 0.5}), {"train_loss": 0.0, "val_loss": 1.0}).rates
    {'fc': 0.75}
    """

    controllers: Sequence[Controller]

    def __post_init__(self) -> None:
        if not self.controllers:
            raise ValueError(f"controllers has to be a list of one controller or more, but got {self.controllers!r}")
        for number, controller in enumerate(self.controllers):
            check_controller(controller, f"controllers[{number}]")
        object.__setattr__(self, "controllers", tuple(self.controllers))

    def needs(self) -> frozenset[str]:
        """Return what any of the rules needs."""
        return frozenset().union(*(controller.needs() for controller in self.controllers))

    def starting_rates(self, rates: Mapping[str, float], passes: float | None = None) -> dict[str, float]:
        """Return where the last rule with a start of its own starts."""
        for controller in self.controllers:
            rates = controller.starting_rates(rates, passes)
        return dict(rates)

    def init(self, rates: Mapping[str, float]) -> ChainState:
        """Return each rule's first state."""
        return ChainState(rates, states=tuple(controller.init(rates) for controller in self.controllers))

    def update(self, state: State, signals: Mapping[str, float]) -> ChainState:
        """Return the rates after the last rule."""
        before = check_state(state, ChainState)
        rates, states = before.rates, []
        for controller, own in zip(self.controllers, before.states, strict=True):
            decided = controller.update(at_rates(own, rates), signals)
            rates = decided.rates
            states.append(decided)
        return changed(
            before,
            rates=rates,
            improved=any(map(attrgetter("improved"), states)),
            rewind=any(map(attrgetter("rewind"), states)),
            restart=any(map(attrgetter("restart"), states)),
            reason="; ".join(filter(None, map(attrgetter("reason"), states))),
            states=tuple(states),
        )
