"""Steering by the learning curves of training and validation: how fast each falls, and which of them is higher.

`SlopeController` and then `BalanceController` are what `RewindController` lets move the rates between its rewinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import mul

from adaptive_dropout.checks import check_count
from adaptive_dropout.controllers.addition import add_up
from adaptive_dropout.controllers.base import Controller, State, changed, check_state
from adaptive_dropout.controllers.diagnosis import has_hardly_learned
from adaptive_dropout.controllers.moves import raise_until_felt, share_of_run, shift_logits
from adaptive_dropout.controllers.numbers import check_logits_per_run
from adaptive_dropout.controllers.reading import read_optional, read_signal
from adaptive_dropout.probability import clip

__all__ = ["BalanceController", "BalanceState", "SlopeController", "SlopeState"]


@dataclass(frozen=True)
class SlopeState(State):
    """The rates, and the losses that the slopes are fitted to.

    Args:
        rates, improved, rewind, restart, reason: as in `State`; the three flags are always False.
        step: optimizer steps at the last validation; None before the first.
        val_losses: the last validation losses, oldest first.
        training_losses: the training losses at these.
        training: which signal they hold: ``clean_loss``, or ``train_loss`` if that was not measured.
    """

    step: int | None = None
    val_losses: tuple[float, ...] = ()
    training_losses: tuple[float, ...] = ()
    training: str = "clean_loss"


@dataclass(frozen=True)
class SlopeController(Controller):
    """Raises the rates when validation falls behind training, lowers them when it does not.

    Let dv and dc be the improvement of validation and clean training loss in a validation interval, fitted to the last
    ``window`` validations, and e = 1 - step / total_steps. Then each logit moves by its share of ``span``, times

        u = clip((e dc - dv) / (0.3 dc), -1, 1)

    Validation should improve as fast as training at first, and stop only at the end. If training no longer falls (dc at
    most a thousandth of the validation loss), u is 0, or -1 if both rise. u is at most 0 where the validation loss is
    not above the clean one, and for a network that has hardly learned yet. A u above 0.5 also lifts each rate to 0.2,
    where dropout begins to be felt.

    Args:
        span: how many logits the rates could move in a whole run. Twice as fast, a rise hurts validation temporarily,
            which reads as overfitting, and the rate runs away.
        window: how many validations a slope is fitted to, at least 3.

    Signals: ``val_loss``, ``step``, ``total_steps``. ``clean_loss``, the loss of a fixed subset of the training data
    with dropout off; if it is missing ``train_loss`` stands in, and without either nothing moves. ``trivial_loss``,
    the loss before any training, if it is known.
    """

    span: float = 6.0
    window: int = 6

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", check_logits_per_run(self.span))
        check_count(self.window, "window", least=3)

    def needs(self) -> frozenset[str]:
        """Return the clean training loss."""
        return frozenset({"clean_loss"})

    def init(self, rates: Mapping[str, float]) -> SlopeState:
        """Return the rates and no losses yet."""
        return SlopeState(rates)

    def update(self, state: State, signals: Mapping[str, float]) -> SlopeState:
        """Return the rates moved along the slopes, as soon as the window is full."""
        before = check_state(state, SlopeState)
        step = int(read_signal(signals, "step"))
        training = "clean_loss" if "clean_loss" in signals else "train_loss"
        if training not in signals:
            return changed(before, reason="", step=step)
        curves = before if training == before.training else self.init(before.rates)  # no slope is of two curves
        vals = (*curves.val_losses, read_signal(signals, "val_loss"))[-self.window :]
        losses = (*curves.training_losses, read_signal(signals, training))[-self.window :]
        seen = {"step": step, "val_losses": vals, "training_losses": losses, "training": training}
        push = 0.0
        if len(vals) == self.window:
            push = self._push(vals, losses, 1 - step / max(read_signal(signals, "total_steps"), 1.0))
            if vals[-1] <= losses[-1] or has_hardly_learned(min(vals), signals):
                push = min(push, 0.0)
        if before.step is None or push == 0.0:
            return changed(curves, reason="", **seen)
        rates = shift_logits(before.rates, push * self.span * share_of_run(signals, before.step))
        if push > 0.5:
            rates = raise_until_felt(rates)
        reason = f"validation {'falls behind' if push > 0 else 'keeps up with'} training, push {push:+.2f}"
        return changed(curves, rates=rates, reason=reason, **seen)

    @staticmethod
    def _push(vals: Sequence[float], losses: Sequence[float], left: float) -> float:
        dv, dc = -_slope(vals), -_slope(losses)
        # .002 nats a validation at a loss of 2. Relative to the loss, which may have other units.
        tiny = 0.001 * max(map(abs, vals))
        if dc <= tiny:
            return -1.0 if dv < 0 and dc < -tiny else 0.0
        return clip((left * dc - dv) / (0.3 * dc), -1.0, 1.0)


@dataclass(frozen=True)
class BalanceState(State):
    """The rates, and the validation before.

    Args:
        rates, improved, rewind, restart, reason: as in `State`; the three flags are always False.
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
    no loss beyond the two that training has anyway. If ``train_loss`` is missing, nothing moves.

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
        after = changed(before, reason="", step=step, val_loss=val_loss)
        if before.step is None or before.val_loss is None or train_loss is None:
            return after
        share = share_of_run(signals, before.step)
        reference = (before.val_loss + val_loss) / 2
        if train_loss <= reference:
            return after
        reason = f"underfitting: train_loss {train_loss:.3g} above val_loss {reference:.3g}: lowered"
        return changed(after, rates=shift_logits(before.rates, -self.span * share), reason=reason)


def _slope(values: Sequence[float]) -> float:
    """Return the least-squares slope of ``values`` over 0, 1, 2, ...

    >>> _slope([1.0, 2.0, 3.0])
    1.0
    """
    weights, squares = _weights(len(values))
    return add_up(map(mul, weights, values)) / squares


@cache
def _weights(count: int) -> tuple[list[float], float]:
    middle = (count - 1) / 2
    weights = [i - middle for i in range(count)]
    return weights, add_up(weight**2 for weight in weights)
