"""The training loss as training sees it, with dropout on, averaged since the last decision."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["RunningLoss"]


class RunningLoss:
    """Mean of the minibatch losses since the last `reset`.

    Summed where the losses are and read once a decision, so that a training step never waits for the device.

    >>> running = RunningLoss()
    >>> running.add(torch.tensor(1.0))
    >>> running.add(torch.tensor(2.0))
    >>> running.mean()
    1.5
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all losses."""
        self._sum: Tensor | float = 0.0
        self._count = 0

    def add(self, loss: Tensor) -> None:
        """Take in one minibatch's loss, a tensor of one element."""
        # float32 at least: a bfloat16 sum stops growing at 256 losses of 1.
        self._sum = self._sum + loss.detach().to(torch.promote_types(loss.dtype, torch.float32)).reshape(())
        self._count += 1

    def mean(self) -> float | None:
        """Return the mean loss, or None where there is none; waits for the device."""
        return float(self._sum) / self._count if self._count else None

    def state_dict(self) -> dict[str, float]:
        """Return what a checkpoint in the middle of an epoch has to keep."""
        return {"sum": float(self._sum), "count": self._count}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from where `state_dict` was taken."""
        self._sum, self._count = float(state["sum"]), int(state["count"])
