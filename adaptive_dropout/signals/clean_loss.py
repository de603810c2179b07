"""The clean loss: the training loss without noise, on a fixed part of the training data, to measure overfitting with.

The loss with dropout on cannot show overfitting, because stronger dropout alone makes it worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from adaptive_dropout.signals.footing import mean_and_error

__all__ = ["CleanLoss", "in_errors"]


class CleanLoss:
    """Turns losses of fixed parts of the training data, and of the validation data, into a controller's signals.

    A part is drawn independently of the others: an example, a sequence of tokens, or a small batch of either. Its mean
    loss counts once, because tokens of one sequence are correlated and would make the standard error too small.

    >>> clean = CleanLoss()
    >>> clean.signals([0.5, 0.7], val_losses=[1.0, 1.4])["clean_loss"]
    0.6
    >>> clean.mark()  # the best validation so far
    >>> clean.signals([0.4, 0.5], val_losses=[1.0, 1.4])["clean_drop_z"]
    3.0
    """

    def __init__(self) -> None:
        self._last: list[float] | None = None
        self._marked: list[float] | None = None

    def signals(self, losses: Sequence[float], val_losses: Sequence[float]) -> dict[str, float]:
        """Return ``clean_loss``, ``gap_z`` and ``clean_drop_z``.

        Args:
            losses: the clean loss of each part, always the same parts in the same order.
            val_losses: the validation loss of each part of the validation data.

        Both z-scores are differences in units of their standard error. ``gap_z`` is validation minus clean loss; with a
        single validation part, the standard error is that of the clean loss. ``clean_drop_z`` is the fall of the clean
        loss since `mark`, over the paired differences of the parts, and 0 if nothing is marked. A single part has no
        standard error: then ``clean_loss`` is the only signal.

        Raises:
            ValueError: there is no part, or their number has changed.
        """
        if not losses:
            raise ValueError("the clean loss needs a part of the training data, but got none")
        if self._last is not None and len(self._last) != len(losses):
            raise ValueError(f"the clean loss is of {len(losses)} parts, but was of {len(self._last)}")
        self._last = list(losses)
        mean, error = mean_and_error(losses)
        if len(losses) < 2:
            return {"clean_loss": mean}
        val_mean, val_error = mean_and_error(val_losses)
        drop, drop_error = mean_and_error([b - now for b, now in zip(self._marked or losses, losses, strict=True)])
        return {
            "clean_loss": mean,
            "gap_z": in_errors(val_mean - mean, math.hypot(error, val_error)),
            "clean_drop_z": in_errors(drop, drop_error),
        }

    def mark(self) -> None:
        """Measure falls from the last losses from now on."""
        self._marked = self._last

    def state_dict(self) -> dict[str, list[float] | None]:
        """Return the state that a resumed run needs, if it measures the same parts."""
        return {"last": self._last, "marked": self._marked}

    def load_state_dict(self, state: dict[str, list[float] | None]) -> None:
        """Continue from the state that `state_dict` returned."""
        self._last, self._marked = state["last"], state["marked"]


def in_errors(difference: float, error: float) -> float:
    """Return ``difference`` in units of ``error``; finite even if that is 0, because signals are stored as JSON."""
    return math.copysign(min(abs(difference) / max(error, 1e-12), 1e6), difference) if difference else 0.0
