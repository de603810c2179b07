"""The time of each training step in Lightning's trainer, without making the host wait for the device."""

from __future__ import annotations

import itertools
import statistics
import time
from typing import Any

import lightning.pytorch as L
import torch

__all__ = ["StepClock"]


class StepClock(L.Callback):
    """Marks the beginning of each training step: an event on a GPU, the clock of the host on a CPU.

    Args:
        on_gpu: whether the marks are CUDA's events.
        skipped: how many steps at the beginning do not count.
    """

    def __init__(self, on_gpu: bool, skipped: int) -> None:
        self.on_gpu = on_gpu
        self.skipped = skipped
        self._marks: list[Any] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Mark the beginning of a step."""
        self._mark()

    def on_train_end(self, *_: Any) -> None:
        """Mark the end of the last step, and of the validation behind it."""
        self._mark()

    def seconds(self) -> list[float]:
        """Return the time from the beginning of each step that counts to the next, validations included."""
        pairs = itertools.pairwise(self._marks[self.skipped :])
        if not self.on_gpu:
            return [after - before for before, after in pairs]
        torch.cuda.synchronize()
        return [before.elapsed_time(after) / 1000 for before, after in pairs]

    def median(self) -> float:
        """Return the median, which a validation every so many steps does not move."""
        return statistics.median(self.seconds())

    def mean(self) -> float:
        """Return the mean, with the share of validations and decisions."""
        return statistics.fmean(self.seconds())

    def _mark(self) -> None:
        if self.on_gpu:
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())
