"""The training loss without noise, on a fixed part of the training data: what overfitting is measured against.

The loss with dropout on says nothing of it, because stronger dropout makes that loss worse by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["CleanLoss"]


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
            losses: the clean loss of each part, always the same parts in the same order; at least two.
            val_losses: the validation loss of each part of the validation data.

        ``gap_z`` is validation minus clean loss in standard errors of that difference; with a single validation part,
        in standard errors of the clean loss. ``clean_drop_z`` is how far the clean loss has fallen since `mark`, in
        standard errors of the paired differences; 0 where nothing is marked.

        Raises:
            ValueError: fewer than two parts, or another number of parts than before.
        """
        if len(losses) < 2:
            raise ValueError(f"the clean loss needs two parts of the training data or more, but got {len(losses)}")
        if self._last is not None and len(self._last) != len(losses):
            raise ValueError(f"the clean loss is of {len(losses)} parts, but was of {len(self._last)}")
        self._last = list(losses)
        error = math.hypot(_standard_error(losses), _standard_error(val_losses) if len(val_losses) > 1 else 0.0)
        drops = [before - now for before, now in zip(self._marked or losses, losses, strict=True)]
        return {
            "clean_loss": _mean(losses),
            "gap_z": _in_errors(_mean(val_losses) - _mean(losses), error),
            "clean_drop_z": _in_errors(_mean(drops), _standard_error(drops)),
        }

    def mark(self) -> None:
        """Compare with the last losses from now on."""
        self._marked = self._last

    def state_dict(self) -> dict[str, list[float] | None]:
        """Return what a resumed run has to know."""
        return {"last": self._last, "marked": self._marked}

    def load_state_dict(self, state: dict[str, list[float] | None]) -> None:
        """Go on from where `state_dict` was taken."""
        self._last, self._marked = state["last"], state["marked"]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _standard_error(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def _in_errors(difference: float, error: float) -> float:
    # Finite also where there is no spread at all: signals are stored as JSON.
    return math.copysign(min(abs(difference) / max(error, 1e-12), 1e6), difference) if difference else 0.0
