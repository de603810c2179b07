"""Steering by underfitting: a training loss with dropout on that is above the validation loss with dropout off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptive_dropout.controllers.base import (
    Controller,
    State,
    check_logits_per_run,
    check_state,
    read_optional,
    read_signal,
)
from adaptive_dropout.controllers.moves import share_of_run, shift_logits

__all__ = ["BalanceController", "BalanceState"]


@dataclass(frozen=True)
class BalanceState(State):
    """The rates, and the validation before.

    Args:
        rates: as in `State`, like the four fields after it.
        improved: always False.
        rewind: always False.
        restart: always False.
        reason: why the rates moved.
        step: optimizer steps at the last validation; None before the first.
        val_loss: the validation loss then.
    """

    step: int | None = None
    val_loss: float | None = None


@dataclass(frozen=True)
class BalanceController(Controller):
    """Lowers the rates while the training loss, dropout on, is above the validation loss, dropout off.

    Then dropout costs more than the network could overfit: it is too strong now. The training loss is a mean since the
    last validation, so it is compared with the mean of this validation and the last. The rule never raises; it needs
    no loss beyond the two that training has anyway. Where ``train_loss`` is missing, nothing moves.

    Args:
        span: how many logits the rates could fall in a whole run.

    >>> controller = BalanceController()
    >>> signals = {"train_loss": 1.0, "val_loss": 0.5, "step": 50, "total_steps": 100}
    >>> state = controller.update(controller.init({"fc": 0.5}), signals)  # the first validation has none before it
    >>> state = controller.update(state, signals | {"step": 100})
    >>> round(state.rates["fc"], 3)
    0.047
    """

    span: float = 6.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", check_logits_per_run(self.span))

    def init(self, rates: Mapping[str, float]) -> BalanceState:
        """Return the rates and no validation yet."""
        return BalanceState(rates)

    def update(self, state: State, signals: Mapping[str, float]) -> BalanceState:
        """Return the rates lowered, or as they were."""
        before = check_state(state, BalanceState)
        train_loss, val_loss = read_optional(signals, "train_loss"), read_signal(signals, "val_loss")
        step = int(read_signal(signals, "step"))
        if before.step is None or before.val_loss is None or train_loss is None:
            return BalanceState(before.rates, step=step, val_loss=val_loss)
        share = share_of_run(signals, before.step)
        reference = (before.val_loss + val_loss) / 2
        if train_loss <= reference:
            return BalanceState(before.rates, step=step, val_loss=val_loss)
        reason = f"underfitting: train_loss {train_loss:.3g} above val_loss {reference:.3g}: lowered"
        return BalanceState(shift_logits(before.rates, -self.span * share), reason=reason, step=step, val_loss=val_loss)
