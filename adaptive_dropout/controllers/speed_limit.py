"""A limit on how fast another controller moves the rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adaptive_dropout.controllers.base import State
from adaptive_dropout.controllers.settings import check_change
from adaptive_dropout.controllers.wrapper import Wrapper
from adaptive_dropout.probability import clip

__all__ = ["SpeedLimit"]


@dataclass(frozen=True)
class SpeedLimit(Wrapper):
    """Lets no rate move by more than ``change`` in one decision of another controller.

    The other controller goes on from where the rates really are, not from where it wanted them.

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
        rates = {name: self._towards(p, state.rates[name]) for name, p in decided.rates.items()}
        if rates == decided.rates:
            return decided
        reason = "; ".join(filter(None, [decided.reason, f"slowed to {self.change:.3g} a decision"]))
        return replace(decided, rates=rates, reason=reason)

    def _towards(self, p: float, before: float) -> float:
        return clip(p, before - self.change, before + self.change)
