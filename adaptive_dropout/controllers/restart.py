"""The restart: where the best weights come early, there is time to begin anew at other rates, from a start of its own.

Small data is overfitted in a tenth of a run. Weights that were trained with too little noise until then do not get
better with more; the same steps from the initial weights do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from adaptive_dropout.checks import check_p
from adaptive_dropout.controllers.base import State, changed
from adaptive_dropout.controllers.diagnosis import has_hardly_learned, steps_until_stalled
from adaptive_dropout.controllers.moves import HIGH, LOW, between, raise_until_felt, shift_logits
from adaptive_dropout.controllers.reading import read_optional, read_signal
from adaptive_dropout.controllers.rewind import RewindController, RewindState

__all__ = ["RestartController", "RestartState"]

START = 0.2
ROOM = 2  # times the age of an attempt's best weights: what has to be left of the run for another one
RAISE = 1.0  # logits from one attempt to the next: from .2 to .40
FAILED = 2  # attempts in a row that bring no new best


@dataclass(frozen=True)
class RestartState(RewindState):
    """The state of a `RewindController`, and of the attempt: what was trained since the initial weights.

    Args:
        attempt_best: the lowest validation loss since the last restart; None before the first validation.
        attempt_rates: the rates of that validation.
        attempt_age: optimizer steps that its weights have been trained for.
        failed: attempts in a row that ended without a new best.
        raised: whether the attempt began at higher rates than those that overfitted, and nothing was rewound since.
    """

    attempt_best: float | None = None
    attempt_rates: Mapping[str, float] = field(default_factory=dict)
    attempt_age: int = 0
    failed: int = 0
    raised: bool = False


@dataclass(frozen=True)
class RestartController(RewindController):
    """A `RewindController` that starts by itself, and begins anew at other rates while there is time for it.

    Where a run starts decides nothing, if what was lost can be tried again. So all rates begin at ``start``. An attempt
    is what is trained from the initial weights, with a fresh optimizer, until validation stalls. If its best weights
    are young, at most half as old as the run has steps left, another begins: a logit above the rates that the attempt
    had at its best, and not below those that it had at its end, if it overfitted; a logit below if not. Rates that were
    raised do not fall in the attempt, because early in training any noise seems too much. An attempt without a new best
    was a step too far: the next is between it and the best. After two of these the best
    weights come back in a rewind, as in `RewindController`, and stall again before another attempt begins from their
    rates. Where time is short there are only rewinds. The best weights of the whole run are kept throughout.

    Args:
        controller: as in `RewindController`.
        start: the p at which each rate starts, in [0, 1]. ``"auto"`` is .2, or .001 where no training example is shown
            twice, so that nothing can be overfitted yet. ``"model"`` starts where the model has them.

    Raises:
        ValueError: ``start`` is another word, or outside [0, 1].
    """

    start: float | str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.start, str):
            if self.start not in ("auto", "model"):
                raise ValueError(f"start has to be a p in [0, 1], 'auto' or 'model', but got {self.start!r}")
        else:
            object.__setattr__(self, "start", check_p(self.start, "start"))

    def starting_rates(self, rates: Mapping[str, float], passes: float | None = None) -> dict[str, float]:
        """Return each rate at ``start``; with ``"model"`` the rates as they are."""
        if self.start == "model":
            return dict(rates)
        if isinstance(self.start, str):
            return dict.fromkeys(rates, START if passes is None or passes > 1 else LOW)
        return dict.fromkeys(rates, self.start)

    def init(self, rates: Mapping[str, float]) -> RestartState:
        """Return the rates and no best yet."""
        begun = super().init(rates)
        kept = {each.name: getattr(begun, each.name) for each in fields(begun)}
        return RestartState(**kept, attempt_rates=begun.rates)

    def update(self, state: State, signals: Mapping[str, float]) -> RewindState:
        """Return one decision: a new best, a restart, a rewind, or a move of the inner rule."""
        after = super().update(state, signals)
        assert isinstance(after, RestartState)
        if after.rewind:
            return changed(
                after, attempt_best=after.best, attempt_rates=after.best_rates, attempt_age=after.age, raised=False
            )
        if after.restart:
            return changed(after, attempt_best=None, attempt_rates=after.rates, attempt_age=0, smoothed=None)
        return after

    @staticmethod
    def _take_in(before: RewindState, step: int, val_loss: float, harder: float) -> RewindState:
        seen = RewindController._take_in(before, step, val_loss, harder)
        assert isinstance(seen, RestartState)
        if seen.attempt_best is not None and val_loss >= seen.attempt_best:
            return seen
        return changed(seen, attempt_best=val_loss, attempt_rates=before.rates, attempt_age=step - before.lost)

    def _move(self, seen: RewindState, before: RewindState, signals: Mapping[str, float]) -> RewindState:
        assert isinstance(seen, RestartState)
        moved = super()._move(seen, before, signals)
        if not seen.raised:
            return moved
        rates = {name: max(p, seen.begun_rates[name]) for name, p in moved.rates.items()}
        return changed(moved, rates=rates, reason=moved.reason if rates != before.rates else "")

    @staticmethod
    def _has_stalled(seen: RewindState, interval: int, total: float) -> bool:
        assert isinstance(seen, RestartState)
        waited = seen.step - seen.clock
        return waited >= steps_until_stalled(seen.attempt_age, interval, seen.fruitless, total - seen.clock)

    def _restart(self, seen: RewindState) -> RewindState:
        assert isinstance(seen, RestartState)
        return super()._restart(changed(seen, raised=False))

    def _rewind_stalled(self, seen: RewindState, before: RewindState, signals: Mapping[str, float]) -> RewindState:
        assert isinstance(seen, RestartState)
        assert seen.best is not None
        assert seen.attempt_best is not None
        best = seen.best
        has_failed = seen.attempt_best > best
        seen = changed(seen, failed=seen.failed + 1 if has_failed else 0)
        left = read_signal(signals, "total_steps") - seen.step
        if left >= ROOM * seen.attempt_age and seen.failed < FAILED and not has_hardly_learned(best, signals):
            return self._begin_attempt(seen, before, signals, has_failed)
        if has_failed:  # nothing of this attempt counts
            seen = changed(seen, rates=seen.best_rates, begun_rates=seen.best_rates, smoothed=None)
        return super()._rewind_stalled(seen, before, signals)

    def _begin_attempt(
        self, seen: RestartState, before: RewindState, signals: Mapping[str, float], has_failed: bool
    ) -> RewindState:
        known = seen.best_rates if has_failed else seen.attempt_rates
        if has_failed:
            rates, outcome = between(seen.attempt_rates, known), "no new best, nearer to it"
        elif _overfits(before, signals):
            higher = raise_until_felt(shift_logits(known, RAISE))
            rates = {name: min(max(p, seen.rates[name]), HIGH) for name, p in higher.items()}
            outcome = "overfitting, raised"
        else:
            lower = shift_logits(known, -1.0)
            rates, outcome = {name: min(p, seen.rates[name]) for name, p in lower.items()}, "lowered"
        reason = f"validation stalled early at {seen.attempt_best:.4g}, started anew: {outcome}"
        seen = changed(seen, raised=all(p >= known[name] for name, p in rates.items()))
        return changed(
            self._begin_anew(seen, rates), improved=False, restart=True, reason=reason, lost=seen.step,
            fruitless=0, validations=0, restarts=seen.restarts + 1,
        )  # fmt: skip


def _overfits(before: RewindState, signals: Mapping[str, float]) -> bool:
    """Return whether the training loss, with noise, is not above validation's: then stronger noise can be tried.

    Where it is unknown the clean loss stands in. `diagnosis.overfits` asks for more signs, because a raise after a
    rewind costs what it undoes. Here a wrong step costs an attempt, and the next goes back half of it.
    """
    val_loss = read_signal(signals, "val_loss")
    training = read_optional(signals, "train_loss")
    if training is None:
        training = read_optional(signals, "clean_loss")
    last = before.recent[-1] if before.recent else val_loss
    return training is not None and training <= (last + val_loss) / 2
