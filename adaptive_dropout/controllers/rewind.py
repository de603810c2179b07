"""The rewind: an overfitted network does not come back by dropout alone, so go back to its best weights first.

Without it a rule that starts too low passes the best checkpoint before the rate has moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from adaptive_dropout.controllers.addition import add_up
from adaptive_dropout.controllers.base import Controller, State, at_rates, changed, check_controller, check_state
from adaptive_dropout.controllers.chain import Chain
from adaptive_dropout.controllers.curves import BalanceController, SlopeController
from adaptive_dropout.controllers.diagnosis import (
    has_hardly_learned,
    logits_to_raise,
    overfits,
    steps_until_stalled,
    training_offset,
    without_offset,
)
from adaptive_dropout.controllers.moves import HIGH, LOW, raise_until_felt, shift_logits
from adaptive_dropout.controllers.reading import has_diverged, read_optional, read_or, read_signal

__all__ = ["RewindController", "RewindState"]

SMOOTHED = 3  # validations: noisy ones at a high learning rate look like stalls
RESTARTS = 6


@dataclass(frozen=True)
class RewindState(State):
    """The decision, the best validation so far, and the clocks.

    Args:
        rates: as in `State`, like the four fields after it.
        improved: this validation is the best: take a snapshot.
        rewind: restore the snapshot of the best weights and optimizer state.
        restart: restore the initial weights, with a fresh optimizer.
        reason: why the rates moved.
        inner: the state of the rule that moves the rates in between.
        best: the lowest validation loss; None before the first.
        best_rates: the rates of that validation.
        begun_rates: the rates that the last rewind or restart began with; before it, those of the start.
        age: optimizer steps that the best weights have been trained for.
        recent: the last validation losses since the last rewind.
        smoothed: the lowest mean of three of them; None before there is one.
        clock: the step of ``smoothed``, or of a later rewind.
        lost: optimizer steps that rewinds have undone.
        step: optimizer steps at the last validation.
        validations: since the last restart.
        fruitless: rewinds since the best validation.
        harder: by what loss the training data is harder than validation's (see `training_offset`).
        rewinds: all rewinds of the run.
        restarts: all restarts of the run.
    """

    inner: State = field(default_factory=lambda: State({}))
    best: float | None = None
    best_rates: Mapping[str, float] = field(default_factory=dict)
    begun_rates: Mapping[str, float] = field(default_factory=dict)
    age: int = 0
    recent: tuple[float, ...] = ()
    smoothed: float | None = None
    clock: int = 0
    lost: int = 0
    step: int = 0
    validations: int = 0
    fruitless: int = 0
    harder: float = 0.0
    rewinds: int = 0
    restarts: int = 0


@dataclass(frozen=True)
class RewindController(Controller):
    """Lets a rule move the rates while validation improves, and goes back to the best weights when it stalls.

    A stall is no new best mean of three validations for about half the age of the best weights (see
    `steps_until_stalled`). Then the best weights and optimizer state come back; step count, learning-rate schedule and
    data go on. The rates go up if training went on while validation did not (see `overfits`), the further the more
    validation has lost since its best (see `logits_to_raise`). Otherwise they go down by a logit, half as far after
    each rewind that brought no new best. If noise swamps learning from the start, the run begins anew with weaker
    noise. A validation loss that is NaN or infinite is rewound from at once, with weaker noise. If the clean loss is
    significantly above validation's, the training data is harder (wrong labels, augmentation), and its losses are
    compared without that offset.

    Args:
        controller: the rule in between; `SlopeController` and then `BalanceController` by default.

    Signals: ``val_loss``, ``step`` and ``total_steps``. The others are used if they are there: ``train_loss`` and
    ``clean_loss`` (see `SlopeController`); ``gap_z``, the gap between validation and clean loss in standard errors;
    ``clean_drop_z``, how far the clean loss has fallen since the best validation in standard errors (without these two
    a rewind raises only where ``train_loss`` is below half of ``val_loss``); ``trivial_loss`` (without it nothing
    restarts). The callbacks measure them, and leave out scores whose standard error is not known.
    """

    controller: Controller = field(default_factory=lambda: Chain((SlopeController(), BalanceController())))

    def __post_init__(self) -> None:
        check_controller(self.controller)

    def needs(self) -> frozenset[str]:
        """Return the clean training loss, a snapshot, and what the inner rule needs."""
        return self.controller.needs() | {"clean_loss", "snapshot"}

    def init(self, rates: Mapping[str, float]) -> RewindState:
        """Return the rates and no best yet."""
        start = dict(rates)
        return RewindState(rates, inner=self.controller.init(rates), best_rates=start, begun_rates=start)

    def update(self, state: State, signals: Mapping[str, float]) -> RewindState:
        """Return one decision: a new best, a rewind, a restart, or a move of the inner rule."""
        before = check_state(state, RewindState)
        step = int(read_signal(signals, "step"))
        if before.best is not None and has_diverged(signals, "val_loss"):
            return self._rewind_diverged(before, step)
        val_loss = read_signal(signals, "val_loss")
        harder = max(before.harder, training_offset(signals))
        signals = without_offset(signals, harder)
        seen = self._take_in(before, step, val_loss, harder)
        if not seen.improved and self._has_stalled(seen, step - before.step, read_signal(signals, "total_steps")):
            return self._rewind_stalled(seen, before, signals)
        if self._is_swamped(seen, signals, val_loss):
            return self._restart(seen)
        return self._move(seen, before, signals)

    @staticmethod
    def _take_in(before: RewindState, step: int, val_loss: float, harder: float) -> RewindState:
        recent = (*before.recent, val_loss)[-SMOOTHED:]
        seen = changed(
            before, improved=False, rewind=False, restart=False, reason="", recent=recent, step=step,
            validations=before.validations + 1, harder=harder,
        )  # fmt: skip
        mean = add_up(recent) / len(recent)
        if len(recent) == SMOOTHED and (before.smoothed is None or mean < before.smoothed):
            seen = changed(seen, smoothed=mean, clock=step)
        if before.best is not None and val_loss >= before.best:
            return seen
        return changed(
            seen, improved=True, best=val_loss, best_rates=before.rates, age=step - before.lost, fruitless=0
        )  # fmt: skip

    @staticmethod
    def _has_stalled(seen: RewindState, interval: int, total: float) -> bool:
        waited = seen.step - seen.clock
        return waited >= steps_until_stalled(seen.age, interval, seen.fruitless, total - seen.clock)

    @staticmethod
    def _is_swamped(seen: RewindState, signals: Mapping[str, float], val_loss: float) -> bool:
        best = val_loss if seen.best is None else min(seen.best, val_loss)
        train_loss = read_optional(signals, "train_loss")
        if train_loss is None or train_loss <= 1.1 * read_or(signals, "trivial_loss", math.inf):
            return False
        return has_hardly_learned(best, signals) and seen.validations >= 2 and seen.restarts < RESTARTS

    def _move(self, seen: RewindState, before: RewindState, signals: Mapping[str, float]) -> RewindState:
        inner = self.controller.update(at_rates(before.inner, before.rates), signals)
        return changed(seen, rates=inner.rates, inner=inner, reason=inner.reason)

    def _rewind_stalled(self, seen: RewindState, before: RewindState, signals: Mapping[str, float]) -> RewindState:
        last = before.recent[-1] if before.recent else read_signal(signals, "val_loss")
        up = overfits(last, signals)
        rates = self._raise(seen, signals) if up else self._lower(seen)
        rose = any(p > seen.rates[name] for name, p in rates.items())
        outcome = ("overfitting, raised" if rose else "overfitting, kept") if up else "lowered"
        reason = f"validation stalled, rewound to {seen.best:.4g}: {outcome}"
        return changed(
            self._begin_anew(seen, rates), rewind=True, reason=reason, lost=seen.step - seen.age,
            fruitless=seen.fruitless + 1, rewinds=seen.rewinds + 1,
        )  # fmt: skip

    @staticmethod
    def _raise(seen: RewindState, signals: Mapping[str, float]) -> dict[str, float]:
        """Return rates above those of the best weights and of the last fruitless rewind, since both were too low."""
        assert seen.best is not None
        low = dict(seen.best_rates)
        if seen.fruitless:
            low = {name: max(p, seen.begun_rates[name]) for name, p in low.items()}
        if not has_hardly_learned(seen.best, signals):
            low = raise_until_felt(shift_logits(low, logits_to_raise(seen.recent, seen.best, signals)))
        return {name: min(max(p, low[name]), HIGH) for name, p in seen.rates.items()}

    @staticmethod
    def _lower(seen: RewindState) -> dict[str, float]:
        lower = shift_logits(seen.best_rates, -(2.0**-seen.fruitless))
        return {name: max(min(p, lower[name]), LOW) for name, p in seen.rates.items()}

    def _rewind_diverged(self, before: RewindState, step: int) -> RewindState:
        lower = {name: min(p, before.best_rates[name]) for name, p in before.rates.items()}
        seen = changed(before, improved=False, restart=False, step=step, validations=before.validations + 1)
        return changed(
            self._begin_anew(seen, shift_logits(lower, -1.0)), rewind=True, lost=step - seen.age,
            reason=f"validation diverged, rewound to {seen.best:.4g}: lowered", rewinds=seen.rewinds + 1,
        )  # fmt: skip

    def _restart(self, seen: RewindState) -> RewindState:
        reason = "noise swamps learning: started anew with weaker noise"
        return changed(
            self._begin_anew(seen, shift_logits(seen.rates, -1.0)), improved=False, restart=True, reason=reason,
            lost=seen.step, restarts=seen.restarts + 1, validations=0,
        )  # fmt: skip

    def _begin_anew(self, seen: RewindState, rates: dict[str, float]) -> RewindState:
        inner = self.controller.init(rates)
        return changed(seen, rates=rates, begun_rates=rates, inner=inner, recent=(), clock=seen.step)
