"""Steering by slopes: how fast validation improves, compared with how fast training does without noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adaptive_dropout.checks import check_count
from adaptive_dropout.controllers.base import (
    Controller,
    State,
    check_logits_per_run,
    check_state,
    read_signal,
)
from adaptive_dropout.controllers.diagnosis import has_hardly_learned
from adaptive_dropout.controllers.moves import raise_until_felt, share_of_run, shift_logits
from adaptive_dropout.probability import clip

__all__ = ["SlopeController", "SlopeState"]


@dataclass(frozen=True)
class SlopeState(State):
    """The rates, and the losses that the slopes are fitted to.

    Args:
        rates: as in `State`, like the four fields after it.
        improved: always False.
        rewind: always False.
        restart: always False.
        reason: why the rates moved.
        step: optimizer steps at the last validation; None before the first.
        val_losses: the last validation losses, oldest first.
        training_losses: the training losses of the same validations.
        training: the signal that those are: ``clean_loss``, or ``train_loss`` where that could not be measured.
    """

    step: int | None = None
    val_losses: tuple[float, ...] = ()
    training_losses: tuple[float, ...] = ()
    training: str = "clean_loss"


@dataclass(frozen=True)
class SlopeController(Controller):
    """Raises the rates when validation falls behind training, lowers them when it does not.

    With dv and dc the improvement of validation and clean training loss in a validation interval, fitted to the last
    ``window`` validations, and e = 1 - step / total_steps,

        u = clip((e dc - dv) / (0.3 max(dc, tiny)), -1, 1)

    and each logit moves by u times its share of ``span``. Validation should improve as fast as training at first, and
    stop only at the end. Training that no longer falls never reads as overfitting, nor does a validation loss that is
    not above the clean one, nor a network that has hardly learned yet.

    Args:
        span: how many logits the rates could move in a whole run. Twice as fast, a rise hurts validation for a while,
            which reads as overfitting, and the rate runs away.
        window: how many validations a slope is fitted to, at least 3.

    The signals are ``val_loss``, ``step``, ``total_steps``; ``clean_loss``, the loss of a fixed subset of the training
    data with dropout off, in whose place ``train_loss`` is taken where it is missing; and, where it is known,
    ``trivial_loss``, that of the best constant prediction. Without a training loss nothing moves.
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
            return replace(before, reason="", step=step)
        goes_on = before if training == before.training else SlopeState(before.rates)  # they are not of one curve
        vals = (*goes_on.val_losses, read_signal(signals, "val_loss"))[-self.window :]
        losses = (*goes_on.training_losses, read_signal(signals, training))[-self.window :]
        after = SlopeState(before.rates, step=step, val_losses=vals, training_losses=losses, training=training)
        push = 0.0
        if len(vals) == self.window:
            push = self._push(vals, losses, 1 - step / read_signal(signals, "total_steps"))
            if vals[-1] <= losses[-1] or has_hardly_learned(min(vals), signals):
                push = min(push, 0.0)
        if before.step is None or push == 0.0:
            return after
        rates = shift_logits(before.rates, push * self.span * share_of_run(signals, before.step))
        if push > 0.5:
            rates = raise_until_felt(rates)
        reason = f"validation {'falls behind' if push > 0 else 'keeps up with'} training, push {push:+.2f}"
        return replace(after, rates=rates, reason=reason)

    @staticmethod
    def _push(vals: Sequence[float], cleans: Sequence[float], left: float) -> float:
        dv, dc = -slope(vals), -slope(cleans)
        # .002 nats a validation at a loss of 2: a loss in other units has another idea of nothing.
        tiny = 0.001 * max(abs(value) for value in vals)
        if dc <= tiny:
            return -1.0 if dv < 0 and dc < -tiny else 0.0
        return clip((left * dc - dv) / (0.3 * dc), -1.0, 1.0)


def slope(values: Sequence[float]) -> float:
    """Return the least-squares slope of ``values`` over 0, 1, 2, ...

    >>> slope([1.0, 2.0, 3.0])
    1.0
    """
    middle = (len(values) - 1) / 2
    spread = sum((i - middle) ** 2 for i in range(len(values)))
    return sum((i - middle) * value for i, value in enumerate(values)) / spread
