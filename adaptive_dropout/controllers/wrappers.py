"""Limits around another controller: bounds of its rates, and how fast they may move.

A wrapper remembers nothing itself: its state is that of the controller inside, which goes on from the rates as they
really are, not from where it wanted them.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, replace

from adaptive_dropout.checks import check_p
from adaptive_dropout.controllers.base import Controller, State, check_controller
from adaptive_dropout.controllers.numbers import check_change
from adaptive_dropout.probability import clip

__all__ = ["Clip", "SpeedLimit", "Wrapper"]


@dataclass(frozen=True)
class Wrapper(Controller, ABC):
    """A controller that limits the decisions of another one; a subclass adds settings and ``update``.

    Args:
        controller: the rule whose decisions are limited.
    """

    controller: Controller

    def __post_init__(self) -> None:
        check_controller(self.controller)

    def needs(self) -> frozenset[str]:
        """Return what the other controller needs."""
        return self.controller.needs()

    def starting_rates(self, rates: Mapping[str, float], passes: float | None = None) -> dict[str, float]:
        """Return where the other controller starts."""
        return self.controller.starting_rates(rates, passes)

    def init(self, rates: Mapping[str, float]) -> State:
        """Return the other controller's first state."""
        return self.controller.init(rates)


@dataclass(frozen=True)
class Clip(Wrapper):
    """Keeps the rates that another controller decides between ``low`` and ``high``.

    The first decision moves a rate that starts outside to the nearest bound. The other controller goes on from the
    bounded rates, so it cannot drive one further and further beyond a bound.

    Args:
        controller: the rule to bound.
        low: the smallest p, in [0, 1].
        high: the largest p, in [``low``, 1].

    >>> from adaptive_dropout.controllers import GapController
    >>> controller = Clip(GapController(change=0.5), high=0.75)
    >>> controller.update(controller.init({"fc": 0.5}), {"train_loss": 0.0, "val_loss": 1.0}).rates
    {'fc': 0.75}
    """

    low: float = 0.0
    high: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "low", check_p(self.low, "low"))
        object.__setattr__(self, "high", check_p(self.high, "high"))
        if self.low > self.high:
            raise ValueError(f"low has to be at most high, but got low={self.low} and high={self.high}")

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        """Return the other controller's decision inside the bounds; its reason says so if they bite."""
        decided = self.controller.update(state, signals)
        rates = {name: clip(p, self.low, self.high) for name, p in decided.rates.items()}
        return _replace_rates(decided, rates, f"kept within [{self.low:.3g}, {self.high:.3g}]")


@dataclass(frozen=True)
class SpeedLimit(Wrapper):
    """Lets no rate move by more than ``change`` in one decision of another controller.

    Args:
        controller: the rule to slow down.
        change: the largest move of a p in one decision, in (0, 1].

    >>> from adaptive_dropout.controllers import GapController
    >>> controller = SpeedLimit(GapController(change=0.5), change=0.125)
    >>> controller.update(controller.init({"fc": 0.25}), {"train_loss": 0.0, "val_loss": 1.0}).rates
    {'fc': 0.375}
    """

    change: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "change", check_change(self.change))

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        """Return the other controller's decision, as near to it as the limit allows."""
        decided = self.controller.update(state, signals)
        rates = {
            name: clip(p, state.rates[name] - self.change, state.rates[name] + self.change)
            for name, p in decided.rates.items()
        }
        return _replace_rates(decided, rates, f"slowed to {self.change:.3g} a decision")


def _replace_rates(decided: State, rates: dict[str, float], why: str) -> State:
    """Return ``decided`` with other ``rates``, and with ``why`` behind its reason if they differ from its own."""
    if rates == decided.rates:
        return decided
    return replace(decided, rates=rates, reason="; ".join(filter(None, [decided.reason, why])))
