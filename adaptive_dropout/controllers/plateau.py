"""Steering by the validation loss: the rates move when it has stopped falling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adaptive_dropout.checks import check_count
from adaptive_dropout.controllers.base import Controller, State, check_state
from adaptive_dropout.controllers.moves import shift
from adaptive_dropout.controllers.numbers import check_change, check_number
from adaptive_dropout.controllers.reading import read_signal

__all__ = ["PlateauController", "PlateauState"]


@dataclass(frozen=True)
class PlateauState(State):
    """The rates, the best val_loss so far, and for how long nothing was better.

    Args:
        rates: as in `State`, like the four fields after it.
        improved: this validation's val_loss is the new best.
        rewind: always False.
        restart: always False.
        reason: why the rates moved.
        best: the lowest val_loss so far; None before the first validation.
        stalled: validations since the last improvement, move or cooldown.
        cooling: validations still to wait before stalled ones count again.
    """

    best: float | None = None
    stalled: int = 0
    cooling: int = 0


@dataclass(frozen=True)
class PlateauController(Controller):
    """Moves the rates when the validation loss has stopped falling, in the direction the gap suggests.

    After ``patience`` validations in a row without val_loss falling by more than ``min_delta`` below the best,
    each p goes up by ``change`` if val_loss > train_loss (overfitting), down otherwise. No p leaves [0, 1]. Then
    ``cooldown`` validations pass uncounted, and patience begins anew; the best stays.

    Args:
        patience: validations without improvement before a move, at least 1 (as EarlyStopping counts them).
        min_delta: how much lower than the best counts as improvement, at least 0, in units of the loss.
        change: how far p moves in one decision, in (0, 1].
        cooldown: validations to wait after a move, at least 0.

    Source: the rule of ``torch.optim.lr_scheduler.ReduceLROnPlateau``, turned on p, with the sign of the gap.
    Yan and Shao (2024) also steer p by whether validation improves.

    >>> controller = PlateauController(patience=1, change=0.25)
    >>> state = controller.update(controller.init({"fc": 0.5}), {"train_loss": 0.5, "val_loss": 1.0})
    >>> state.improved, state.rates
    (True, {'fc': 0.5})
    >>> state = controller.update(state, {"train_loss": 0.4, "val_loss": 1.0})
    >>> state.reason, state.rates
    ('val_loss stalled for 1 validations, gap 0.6: raised by 0.25', {'fc': 0.75})
    """

    patience: int = 2
    min_delta: float = 0.0
    change: float = 0.05
    cooldown: int = 0

    def __post_init__(self) -> None:
        check_count(self.patience, "patience")
        check_count(self.cooldown, "cooldown", least=0)
        object.__setattr__(self, "min_delta", check_number(self.min_delta, "min_delta"))
        object.__setattr__(self, "change", check_change(self.change))
        if self.min_delta < 0.0:
            raise ValueError(f"min_delta has to be at least 0, but got {self.min_delta}")

    def init(self, rates: Mapping[str, float]) -> PlateauState:
        """Return the rates and no best yet."""
        return PlateauState(rates)

    def update(self, state: State, signals: Mapping[str, float]) -> PlateauState:
        """Return the rates as they were, or moved by one change if validation has not improved for too long."""
        before = check_state(state, PlateauState)
        val_loss, train_loss = read_signal(signals, "val_loss"), read_signal(signals, "train_loss")
        improved = before.best is None or val_loss < before.best - self.min_delta
        seen = replace(
            before,
            improved=improved,
            reason="",
            best=val_loss if improved else before.best,
            stalled=0 if improved or before.cooling else before.stalled + 1,
            cooling=max(0, before.cooling - 1),
        )
        return seen if seen.stalled < self.patience else self._move(seen, val_loss - train_loss)

    def _move(self, state: PlateauState, gap: float) -> PlateauState:
        rates, outcome = shift(state.rates, self.change if gap > 0 else -self.change)
        reason = f"val_loss stalled for {state.stalled} validations, gap {gap:.3g}: {outcome}"
        return replace(state, rates=rates, reason=reason, stalled=0, cooling=self.cooldown)
