"""What stands in for the clean loss where it cannot be measured: the training loss with dropout on, which is free."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from adaptive_dropout.signals.clean_loss import in_errors
from adaptive_dropout.signals.footing import mean_and_error

__all__ = ["StandIn"]


class StandIn:
    """The signals ``gap_z`` and ``clean_drop_z`` of the training loss, which is above the clean one.

    ``train`` is that loss and its standard error since the last decision, None where there is none.
    """

    def __init__(self) -> None:
        self.train: tuple[float, float] | None = None
        self._marked: tuple[float, float] | None = None

    def take(self, known: Mapping[str, float]) -> None:
        """Take in the training loss among the ``known`` signals."""
        if "train_loss" in known:
            self.train = known["train_loss"], known.get("train_loss_error", 0.0)

    def mark(self) -> None:
        """Compare with this training loss from now on: it is that of the best validation."""
        self._marked = self.train

    def signals(self, val_loss: float, val_losses: Sequence[float]) -> dict[str, float]:
        """Return the signals; nothing without a training loss.

        Args:
            val_loss: of the whole validation.
            val_losses: of each validation batch, where that is known.
        """
        if self.train is None:
            return {}
        loss, error = self.train
        val_error = mean_and_error(val_losses)[1] if val_losses else 0.0
        signals = {"gap_z": in_errors(val_loss - loss, math.hypot(error, val_error))}
        if self._marked is not None:
            marked, marked_error = self._marked
            signals["clean_drop_z"] = in_errors(marked - loss, math.hypot(error, marked_error))
        return signals

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        return {"marked": self._marked}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._marked = state["marked"] and tuple(state["marked"])
