"""The results: one line a training run, in a CSV file that only grows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.study import lines

__all__ = ["COLUMNS", "Row", "read"]


@dataclass(frozen=True)
class Row:
    """One training run.

    Args:
        commit: of this repository; a plus means that files differed from it.
        torch: its version.
        lightning: its version.
        task: a name in `tasks.TASKS`.
        seed: of split, initial weights and order.
        method: a name in `methods.METHODS`.
        start: the p that training began with.
        val_loss: the lowest validation loss, nats per example.
        test_loss: that of the weights which had it.
        test_accuracy: in [0, 1]; None for a number to predict.
        test_rmse: in standard deviations of the training targets; None for classes.
        final_rate: the mean p of the layers at the last step.
        gradient_examples: examples through forward and backward, one through forward alone counted 1/3.
        seconds: process time of the training.
        rewinds: how often the best weights were restored on the way.
    """

    commit: str
    torch: str
    lightning: str
    task: str
    seed: int
    method: str
    start: float
    val_loss: float
    test_loss: float
    test_accuracy: float | None
    test_rmse: float | None
    final_rate: float
    gradient_examples: float
    seconds: float
    rewinds: int


COLUMNS = lines.columns(Row)


def read(file: Path) -> list[Row]:
    """Return the rows in ``file``, none if there is no file; raise ValueError as `lines.read` does."""
    return lines.read(file, Row)
