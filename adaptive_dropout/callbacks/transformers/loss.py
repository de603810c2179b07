"""The training loss that transformers' Trainer logs, averaged since the last decision."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LoggedLoss"]


class LoggedLoss:
    """Mean over the steps since the last `reset`.

    The Trainer logs the mean over the steps since it last did. It does not show the loss of a single batch, or, with
    accumulated gradients, micro-batch.

    >>> loss = LoggedLoss()
    >>> loss.add(1.0, step=3)
    >>> loss.add(5.0, step=4)
    >>> loss.signals()
    {'train_loss': 2.0}
    """

    def __init__(self) -> None:
        self._logged_at = 0
        self.reset()

    def start(self, step: int) -> None:
        """Training begins, or goes on, at ``step``."""
        self._logged_at = step

    def reset(self) -> None:
        """Forget all losses."""
        self._sum, self._steps = 0.0, 0

    def add(self, loss: float, step: int) -> None:
        """Take in what was logged at ``step``."""
        steps = step - self._logged_at
        self._sum, self._steps, self._logged_at = self._sum + loss * steps, self._steps + steps, step

    def signals(self) -> dict[str, float]:
        """Return the mean; nothing where there was no step."""
        return {"train_loss": self._sum / self._steps} if self._steps else {}

    def state_dict(self) -> list[float]:
        """Return what a checkpoint has to hold."""
        return [self._sum, self._steps]

    def load_state_dict(self, state: Sequence[float]) -> None:
        """Go on from where `state_dict` was taken."""
        self._sum, self._steps = state[0], int(state[1])
