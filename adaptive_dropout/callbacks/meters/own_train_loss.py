"""The training loss as validation would log it, for a run whose ``training_step`` returns another loss, or none.

Label smoothing, auxiliary terms and mixed examples are in one and not in the other: the two cannot be subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from adaptive_dropout.signals.footing import differs, mean_and_error

__all__ = ["OwnTrainLoss"]

CHECKED = (1, 2, 3, 10, 11, 12, 30, 31, 32, 80, 81, 82)
"""The decisions at which the two are compared: most runs pay for these alone."""


class OwnTrainLoss:
    """Finds out whether ``train_loss`` is on validation's terms, and measures it with dropout on where it is not.

    It has to differ over two intervals in a row. Training's is a mean over an interval, so it differs where it lies
    outside what is measured before and after.
    """

    def __init__(self) -> None:
        self.needed = False
        self._decisions = 0
        self._before: tuple[int, float] | None = None
        self._differed = 0

    def signals(
        self, losses: Sequence[float], noisy: Callable[[Sequence[int]], list[float]], known: Mapping[str, float]
    ) -> dict[str, float]:
        """Return ``train_loss`` where it has to be measured here, else nothing.

        Args:
            losses: of each kept batch, with dropout off.
            noisy: measures those at the given places with dropout on; half of them are enough, paired with the others.
            known: the signals; without ``train_loss`` it is always needed.
        """
        self._decisions += 1
        compared = "train_loss" in known and not self.needed
        if compared and self._decisions not in CHECKED:
            return {}
        places = range(0, len(losses), 2 if len(losses) > 2 else 1)
        costs = [loss - losses[place] for loss, place in zip(noisy(places), places, strict=True)]
        mean, error = mean_and_error(losses)
        own = mean + mean_and_error(costs)[0]
        if compared:
            self._compare(own, error, known)
        return {"train_loss": own} if self.needed or "train_loss" not in known else {}

    def forget(self) -> None:
        """Weights were restored: what is measured next does not follow on what was measured last."""
        self._before, self._differed = None, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        kept = {"needed": self.needed, "decisions": self._decisions, "before": self._before}
        return kept | {"differed": self._differed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.needed, self._decisions, self._differed = state["needed"], state["decisions"], state["differed"]
        self._before = state["before"] and tuple(state["before"])

    def _compare(self, own: float, error: float, known: Mapping[str, float]) -> None:
        before, self._before = self._before, (self._decisions, own)
        if before is None or before[0] != self._decisions - 1:
            self._differed = 0
            return
        train_loss = known["train_loss"]
        nearest = min(max(train_loss, min(before[1], own)), max(before[1], own))
        if not differs(train_loss, known.get("train_loss_error", 0.0), nearest, error):
            self._differed = 0
            return
        self._differed += 1
        self.needed = self._differed > 1
        if self.needed:
            rank_zero_info(
                f"training_step returns {train_loss:.4g} where validation_step logs {own:.4g} with dropout on: they "
                "are not the same loss, so the training loss is measured by validation_step"
            )
