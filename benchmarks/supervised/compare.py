"""The statistics of the study, on plain rows: means over seeds, and when a run reached what no dropout reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.control.compare import mean_and_error
from benchmarks.supervised.training import TrainedRow

__all__ = ["Convergence", "convergence", "epochs_to", "paired", "summarised"]

Spread = tuple[float, float]
"""A mean and its standard error, which is NaN for one value."""


@dataclass(frozen=True)
class Convergence:
    """How long it took to the best validation loss of the reference run of the same seed.

    Args:
        reached: in how many runs that was.
        runs: of how many.
        epochs: the mean of those that reached it; NaN if none did.
        ratio: their examples over the reference's, in the mean.
    """

    reached: int
    runs: int
    epochs: float
    ratio: float


def summarised(rows: Sequence[TrainedRow], value: Callable[[TrainedRow], float]) -> Spread:
    """Return mean and standard error of ``value`` over the rows, at least one."""
    return mean_and_error([value(row) for row in rows])


def paired(
    rows: Sequence[TrainedRow], reference: Sequence[TrainedRow], value: Callable[[TrainedRow], float]
) -> Spread | None:
    """Return mean and standard error of the difference in ``value`` over the seeds that both have; None without any."""
    pairs = _pairs(rows, reference)
    return mean_and_error([value(row) - value(other) for row, other in pairs]) if pairs else None


def epochs_to(row: TrainedRow, loss: float) -> float:
    """Return the epochs until the first validation with that loss or a lower one; infinite if there was none."""
    there = (i for i, found in enumerate(row.val_losses, start=1) if found <= loss)
    return next(there, math.inf) * row.epochs_apart


def convergence(rows: Sequence[TrainedRow], reference: Sequence[TrainedRow]) -> Convergence | None:
    """Return how long ``rows`` took to what ``reference`` reached, seed by seed; None where they share no seed."""
    pairs = _pairs(rows, reference)
    if not pairs:
        return None
    goals = [(row, other, min(other.val_losses)) for row, other in pairs]
    taken = [(epochs_to(row, goal), epochs_to(other, goal)) for row, other, goal in goals]
    reached = [(own, others) for own, others in taken if math.isfinite(own)]
    if not reached:
        return Convergence(0, len(pairs), math.nan, math.nan)
    epochs = sum(own for own, _ in reached) / len(reached)
    return Convergence(len(reached), len(pairs), epochs, sum(own / others for own, others in reached) / len(reached))


def _pairs(rows: Sequence[TrainedRow], reference: Sequence[TrainedRow]) -> list[tuple[TrainedRow, TrainedRow]]:
    by_seed = {row.seed: row for row in reference}
    return [(row, by_seed[row.seed]) for row in rows if row.seed in by_seed]
