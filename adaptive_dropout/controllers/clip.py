"""Bounds around another controller's rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adaptive_dropout.checks import check_p
from adaptive_dropout.controllers.base import State
from adaptive_dropout.controllers.wrapper import Wrapper
from adaptive_dropout.probability import clip

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip(Wrapper):
    """Keeps the rates that another controller decides between ``low`` and ``high``.

    The bounds hold from the first decision on; a rate that starts outside is brought inside by it. The other
    controller goes on from the bounded rates, so none is driven further and further beyond a bound.

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
        if rates == decided.rates:
            return decided
        reason = "; ".join(filter(None, [decided.reason, f"kept within [{self.low:.3g}, {self.high:.3g}]"]))
        return replace(decided, rates=rates, reason=reason)
