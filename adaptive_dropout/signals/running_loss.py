"""The training loss as training sees it, with dropout on, averaged since the last decision."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["RunningLoss"]

TOGETHER = 64  # losses that are added up at once


class RunningLoss:
    """Mean and standard error of the minibatch losses since the last `reset`.

    The sums stay on the device of the losses and are read once a decision, so that a training step never waits for the
    device. A loss that is NaN or infinite is left out, so that one bad batch does not cost a decision.

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
        self._recent: list[Tensor] = []
        self._sums: Tensor | None = None
        self._numbers: tuple[float, float, float] | None = None
        self._count = 0

    def add(self, loss: Tensor) -> None:
        """Take in one minibatch's loss, a tensor of one element."""
        # A sum at each step would take longer than the bookkeeping of a small step.
        self._recent.append(loss.detach())
        self._numbers = None
        self._count += 1
        if len(self._recent) == TOGETHER:
            self._fold()

    def _fold(self) -> None:
        """Add the new losses to the sums: of the finite losses, of their squares, and of their number."""
        if not self._recent:
            return
        losses = torch.stack([loss.to(self._recent[-1].device).reshape(()) for loss in self._recent])
        # float32 at least: a bfloat16 sum stops growing at 256 losses of 1.
        losses = losses.to(torch.promote_types(losses.dtype, torch.float32))
        finite = losses.isfinite()
        losses = torch.where(finite, losses, 0.0)
        sums = torch.stack([losses.sum(), losses.square().sum(), finite.sum().to(losses.dtype)])
        self._sums = sums if self._sums is None else self._sums.to(sums) + sums
        self._recent = []

    def _read(self) -> tuple[float, float, float]:
        """Return the sums; the device is waited for once, however often they are read."""
        self._fold()
        if self._numbers is None:
            total, squares, finite = (0.0, 0.0, 0.0) if self._sums is None else self._sums.tolist()
            self._numbers = total, squares, finite
        return self._numbers

    def mean(self) -> float | None:
        """Return the mean loss, NaN if no loss was finite, None if there is none; waits for the device."""
        if not self._count:
            return None
        total, _, finite = self._read()
        return total / finite if finite else math.nan

    def standard_error(self) -> float | None:
        """Return the standard error of the mean, None for fewer than two finite losses."""
        total, squares, finite = self._read()
        if finite < 2:
            return None
        return math.sqrt(max(0.0, squares / finite - (total / finite) ** 2) / (finite - 1))

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a checkpoint in the middle of an epoch has to keep; later results stay as they are."""
        # The new losses are not added up here: sums in another order differ in their last bit.
        recent = torch.stack([loss.cpu().reshape(()) for loss in self._recent]) if self._recent else None
        sums = None if self._sums is None else self._sums.tolist()
        return {"sums": sums, "recent": recent, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state that `state_dict` returned."""
        recent, sums = state.get("recent"), state["sums"]  # earlier versions had added up all of them
        self._recent = [] if recent is None else list(recent.unbind())
        self._sums = None if sums is None else torch.tensor(sums, dtype=torch.float64)
        self._numbers, self._count = None, int(state["count"])
