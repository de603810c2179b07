"""Steering by the gap alone: the simplest rule that reacts to overfitting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptive_dropout.controllers.base import Controller, State
from adaptive_dropout.controllers.moves import shift
from adaptive_dropout.controllers.numbers import check_change, check_number
from adaptive_dropout.controllers.reading import read_signal

__all__ = ["GapController"]


@dataclass(frozen=True)
class GapController(Controller):
    """Raises the rates while the gap is wide and lowers them while it is narrow.

    The gap is val_loss - train_loss. Above ``high`` each p goes up by ``change``, below ``low`` it goes down, between
    the two it stays. No p leaves [0, 1].

    This is a weak rule, kept as the simple reference. The right gap depends on the task, the loss and the moment of
    training, so no fixed target fits a whole run. Besides, train_loss is measured with dropout on: a higher p narrows
    the gap by making training worse, whether or not validation gains anything.

    Args:
        low: the gap below which rates fall, in units of the loss; may be negative.
        high: the gap above which they rise, at least ``low``.
        change: how far p moves in one decision, in (0, 1].

    Source: the plainest form of a rule on the generalisation gap; no paper is followed.

    >>> controller = GapController(low=0.0, high=0.1, change=0.25)
    >>> controller.update(controller.init({"fc": 0.5}), {"train_loss": 1.0, "val_loss": 1.5}).rates
    {'fc': 0.75}
    """

    low: float = 0.0
    high: float = 0.1
    change: float = 0.02

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", check_number(self.low, "low"))
        object.__setattr__(self, "high", check_number(self.high, "high"))
        object.__setattr__(self, "change", check_change(self.change))
        if self.low > self.high:
            raise ValueError(f"low has to be at most high, but got low={self.low} and high={self.high}")

    def init(self, rates: Mapping[str, float]) -> State:
        """Return the rates; there is nothing to remember."""
        return State(rates)

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        """Return the rates one change up, one change down, or as they were."""
        gap = read_signal(signals, "val_loss") - read_signal(signals, "train_loss")
        if self.low <= gap <= self.high:
            return State(state.rates)
        change, where = (self.change, f"above {self.high}") if gap > self.high else (-self.change, f"below {self.low}")
        rates, outcome = shift(state.rates, change)
        return State(rates, reason=f"gap {gap:.3g} {where}: {outcome}")
