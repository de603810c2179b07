"""The training loss as validation would log it, for a run whose ``training_step`` returns another loss, or none.

Label smoothing, auxiliary terms and mixed examples are in one and not in the other: the two cannot be subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from adaptive_dropout.signals.footing import differs, mean_and_error

__all__ = ["OwnTrainLoss"]

CHECKED = (2, 3, 10, 20, 40, 80)
"""The decisions at which the two are compared: most runs pay for these alone."""


class OwnTrainLoss:
    """Finds out whether ``train_loss`` is on validation's terms, and measures it with dropout on where it is not."""

    def __init__(self) -> None:
        self.needed = False
        self._decisions = 0
        self._before: tuple[int, float] | None = None

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

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return {"needed": self.needed, "decisions": self._decisions, "before": self._before}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.needed, self._decisions = state["needed"], state["decisions"]
        self._before = state["before"] and tuple(state["before"])

    def _compare(self, own: float, error: float, known: Mapping[str, float]) -> None:
        before, self._before = self._before, (self._decisions, own)
        follows = before is not None and before[0] == self._decisions - 1
        if self._decisions == CHECKED[0]:
            return  # the loss falls too fast yet: the one after this is compared with the mean of both
        # Of training it is a mean over the time since the last decision.
        middle = (before[1] + own) / 2 if before is not None and follows else own
        train_loss = known["train_loss"]
        self.needed = differs(train_loss, known.get("train_loss_error", 0.0), middle, error)
        if self.needed:
            rank_zero_info(
                f"training_step returns {train_loss:.4g} where validation_step logs {middle:.4g} with dropout on: they "
                "are not the same loss, so the training loss is measured by validation_step"
            )
