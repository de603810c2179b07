"""The training loss as training sees it, with dropout on, averaged since the last decision."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["RunningLoss"]


class RunningLoss:
    """Mean and standard error of the minibatch losses since the last `reset`.

    Summed where the losses are and read once a decision, so that a training step never waits for the device. A loss
    that is NaN or infinite is left out, so that one bad batch does not cost a decision.

    >>> running = RunningLoss()
    >>> running.add(torch.tensor(1.0))
    >>> running.add(torch.tensor(2.0))
    >>> running.mean(), running.standard_error()
    (1.5, 0.5)
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all losses."""
        self._sum: Tensor | float = 0.0
        self._squares: Tensor | float = 0.0
        self._finite: Tensor | float = 0.0
        self._count = 0

    def add(self, loss: Tensor) -> None:
        """Take in one minibatch's loss, a tensor of one element."""
        # float32 at least: a bfloat16 sum stops growing at 256 losses of 1.
        value = loss.detach().to(torch.promote_types(loss.dtype, torch.float32)).reshape(())
        finite = value.isfinite()
        value = torch.where(finite, value, 0.0)
        self._sum = self._sum + value
        self._squares = self._squares + value.square()
        self._finite = self._finite + finite
        self._count += 1

    def mean(self) -> float | None:
        """Return the mean loss, NaN where no loss was finite, None where there is none; waits for the device."""
        if not self._count:
            return None
        count = float(self._finite)
        return float(self._sum) / count if count else math.nan

    def standard_error(self) -> float | None:
        """Return the standard error of the mean, None for fewer than two finite losses."""
        count = float(self._finite)
        if count < 2:
            return None
        mean = float(self._sum) / count
        return math.sqrt(max(0.0, float(self._squares) / count - mean**2) / (count - 1))

    def state_dict(self) -> dict[str, float]:
        """Return what a checkpoint in the middle of an epoch has to keep."""
        numbers = {"sum": self._sum, "squares": self._squares, "finite": self._finite, "count": self._count}
        return {name: float(number) for name, number in numbers.items()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from where `state_dict` was taken."""
        self._sum, self._count = float(state["sum"]), int(state["count"])
        self._squares, self._finite = float(state["squares"]), float(state["finite"])
