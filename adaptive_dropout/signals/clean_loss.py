"""The training loss without noise, on a fixed part of the training data: what overfitting is measured against.

The loss with dropout on says nothing of it, because stronger dropout makes that loss worse by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from adaptive_dropout.signals.footing import mean_and_error

__all__ = ["CleanLoss", "in_errors"]


class CleanLoss:
    """Turns losses of fixed parts of the training data, and of validation, into a controller's signals.

    A part is what is drawn independently: an example, a sequence of tokens, or a small batch of either. Its mean loss
    counts once, so that tokens that hang together do not feign certainty.

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

        ``gap_z`` is validation minus clean loss in standard errors of that difference; with a single validation part,
        in standard errors of the clean loss. ``clean_drop_z`` is how far the clean loss has fallen since `mark`, in
        standard errors of the paired differences; 0 where nothing is marked. A single part has no standard error:
        then there is ``clean_loss`` alone.

        Raises:
            ValueError: no part, or another number of parts than before.
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
        """Compare with the last losses from now on."""
        self._marked = self._last

    def state_dict(self) -> dict[str, list[float] | None]:
        """Return what a resumed run has to know, if it measures the same parts."""
        return {"last": self._last, "marked": self._marked}

    def load_state_dict(self, state: dict[str, list[float] | None]) -> None:
        """Go on from where `state_dict` was taken."""
        self._last, self._marked = state["last"], state["marked"]


def in_errors(difference: float, error: float) -> float:
    """Return ``difference`` in units of ``error``; finite also where that is 0, as signals are stored as JSON."""
    return math.copysign(min(abs(difference) / max(error, 1e-12), 1e6), difference) if difference else 0.0
