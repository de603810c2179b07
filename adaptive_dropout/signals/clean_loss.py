"""The clean loss: the training loss without noise, on a fixed part of the training data, to measure overfitting with.

The loss with dropout on cannot show overfitting, because stronger dropout alone makes it worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from adaptive_dropout.signals.footing import mean_and_error

__all__ = ["CleanLoss", "known_scores", "z_score"]


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

        Both z-scores are differences in units of their standard error. A single part has none. ``gap_z`` is validation
        minus clean loss; if one of them has a single part, the standard error is that of the other, and if both have,
        there is no ``gap_z``. ``clean_drop_z`` is the fall of the clean loss since `mark`, or since the first losses if
        nothing is marked, over the paired differences of the parts; a single part has none.

        Raises:
            ValueError: there is no part, or their number has changed.
        """
        if not losses:
            raise ValueError("the clean loss needs a part of the training data, but got none")
        if self._last is not None and len(self._last) != len(losses):
            raise ValueError(f"the clean loss is of {len(losses)} parts, but was of {len(self._last)}")
        self._last = list(losses)
        # The best validation may have come before the first losses; nothing would be marked until there is a better.
        self._marked = self._marked or self._last
        mean, error = _mean_and_known_error(losses)
        val_mean, val_error = _mean_and_known_error(val_losses)
        drop, drop_error = _mean_and_known_error([b - now for b, now in zip(self._marked, losses, strict=True)])
        scores = {"gap_z": z_score(val_mean - mean, error, val_error), "clean_drop_z": z_score(drop, drop_error)}
        return {"clean_loss": mean, **known_scores(scores)}

    def mark(self) -> None:
        """Measure falls from the last losses from now on."""
        self._marked = self._last

    def state_dict(self) -> dict[str, list[float] | None]:
        """Return the state that a resumed run needs, if it measures the same parts."""
        return {"last": self._last, "marked": self._marked}

    def load_state_dict(self, state: dict[str, list[float] | None]) -> None:
        """Continue from the state that `state_dict` returned."""
        self._last, self._marked = state["last"], state["marked"]


def z_score(difference: float, *errors: float | None) -> float | None:
    """Return ``difference`` in units of its standard error, from the ``errors`` of its sides; None if none is known.

    The result is finite even if the error is 0, because signals are stored as JSON.

    >>> z_score(1.0, 0.3, 0.4), z_score(1.0, 0.5, None), z_score(1.0, None)
    (2.0, 2.0, None)
    """
    known = [error for error in errors if error is not None]
    if not known:
        return None
    return math.copysign(min(abs(difference) / max(math.hypot(*known), 1e-12), 1e6), difference) if difference else 0.0


def known_scores(scores: Mapping[str, float | None]) -> dict[str, float]:
    """Return the ``scores`` that are not None: a rule must not decide by a number without a meaning."""
    return {name: score for name, score in scores.items() if score is not None}


def _mean_and_known_error(values: Sequence[float]) -> tuple[float, float | None]:
    mean, error = mean_and_error(values)
    return mean, error if len(values) > 1 else None
