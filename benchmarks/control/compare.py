"""The statistics of the study, on plain rows: paired differences to the choice of a grid search.

The reference of a task and a seed is the fixed rate with the lowest validation loss among all ten, trained with that
seed: the result of ten runs and a choice by validation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.control.cells import Row
from benchmarks.control.methods import GRID, REPEATS
from benchmarks.study.statistics import mean_and_error

__all__ = [
    "Difference",
    "Summary",
    "choose_by_validation",
    "compare",
    "compare_cost",
    "compare_oracle",
    "compare_repeat",
    "find_best_universal",
    "index_rows",
    "summarize",
]

Cells = Mapping[tuple[str, int, str], Row]
"""Rows by (task, seed, method)."""


@dataclass(frozen=True)
class Difference:
    """Test loss minus the reference's, in nats: mean and standard error over ``seeds`` pairs; above 0 is worse.

    The error is NaN for a single seed. ``accuracy`` is the same difference in accuracy, in percentage points; None
    for numbers to predict.
    """

    mean: float
    error: float
    seeds: int
    accuracy: float | None = None

    @property
    def is_worse(self) -> bool:
        """Whether the method is worse by more than two standard errors; never for a single seed."""
        return self.mean > 2 * self.error


@dataclass(frozen=True)
class Summary:
    """A method over tasks: mean difference, its standard error over the tasks, and the worst task's.

    ``wins`` and ``losses`` count the tasks with a difference beyond the tolerance, below and above 0; ``worse`` counts
    those above 0 by more than two standard errors over seeds.
    """

    tasks: int
    mean: float
    error: float
    worst: float
    wins: int
    losses: int
    worse: int


def index_rows(rows: Iterable[Row]) -> dict[tuple[str, int, str], Row]:
    """Return the rows by (task, seed, method); of two of the same cell the first counts, as it does when resuming."""
    cells: dict[tuple[str, int, str], Row] = {}
    for row in rows:
        cells.setdefault((row.task, row.seed, row.method), row)
    return cells


def choose_by_validation(cells: Cells, task: str, seed: int) -> Row | None:
    """Return the fixed rate with the lowest validation loss; None unless all ten have been trained."""
    grid = _find_grid(cells, task, seed)
    return min(grid, key=lambda row: row.val_loss) if grid else None


def compare(cells: Cells, task: str, method: str) -> Difference | None:
    """Return how ``method`` compares to the reference over the seeds that have both; None where there is none."""
    return _compare(cells, task, lambda seed: cells.get((task, seed, method)))


def compare_oracle(cells: Cells, task: str) -> Difference | None:
    """Return how the fixed rate with the lowest test loss of each seed compares: no choice of one rate does better."""

    def best_on_test(seed: int) -> Row | None:
        return min(_find_grid(cells, task, seed), key=lambda row: row.test_loss, default=None)

    return _compare(cells, task, best_on_test)


def compare_repeat(cells: Cells, task: str) -> Difference | None:
    """Return how the reference's own rate compares when it is trained again with other noise.

    A choice among ten runs is partly luck; this shows how far two runs of one rate differ.
    """

    def again(seed: int) -> Row | None:
        chosen = choose_by_validation(cells, task, seed)
        return cells.get((task, seed, REPEATS[chosen.method])) if chosen else None

    return _compare(cells, task, again)


def find_best_universal(cells: Cells, tasks: Sequence[str]) -> str | None:
    """Return the fixed rate with the lowest mean difference over ``tasks``, in hindsight; None without a grid."""
    means = {}
    for method in GRID:
        found = [d.mean for d in (compare(cells, task, method) for task in tasks) if d]
        if found:
            means[method] = sum(found) / len(found)
    return min(means, key=means.__getitem__) if means else None


def summarize(differences: Mapping[str, Difference | None], tolerance: Mapping[str, float]) -> Summary | None:
    """Return one method's summary from its difference on each task; tasks without one are left out."""
    found = {task: d for task, d in differences.items() if d}
    if not found:
        return None
    means = [d.mean for d in found.values()]
    return Summary(
        len(found),
        *mean_and_error(means),
        worst=max(means),
        wins=sum(d.mean < -tolerance[task] for task, d in found.items()),
        losses=sum(not d.mean <= tolerance[task] for task, d in found.items()),
        worse=sum(d.is_worse for d in found.values()),
    )


def compare_cost(cells: Cells, tasks: Sequence[str], method: str, measure: Callable[[Row], float]) -> float:
    """Return ``measure`` of ``method`` over the mean of the fixed rates of the same task and seed, averaged over cells.

    Args:
        cells: the rows.
        tasks: which of them count.
        method: which method; NaN where it has never run beside a fixed rate.
        measure: such as ``lambda row: row.seconds``.
    """
    ratios = []
    for (task, seed, name), row in cells.items():
        grid = [measure(r) for r in (cells.get((task, seed, rate)) for rate in GRID) if r]
        if name == method and task in tasks and grid:
            ratios.append(measure(row) * len(grid) / sum(grid))
    return sum(ratios) / len(ratios) if ratios else math.nan


def _find_grid(cells: Cells, task: str, seed: int) -> list[Row]:
    rows = [cells[task, seed, method] for method in GRID if (task, seed, method) in cells]
    return rows if len(rows) == len(GRID) else []


def _compare(cells: Cells, task: str, candidate: Callable[[int], Row | None]) -> Difference | None:
    pairs = []
    for seed in sorted({seed for name, seed, _ in cells if name == task}):
        row, reference = candidate(seed), choose_by_validation(cells, task, seed)
        if row and reference:
            pairs.append((row, reference))
    if not pairs:
        return None
    mean, error = mean_and_error([row.test_loss - reference.test_loss for row, reference in pairs])
    points = [
        100 * (row.test_accuracy - reference.test_accuracy)
        for row, reference in pairs
        if row.test_accuracy is not None and reference.test_accuracy is not None
    ]
    return Difference(mean, error, len(pairs), sum(points) / len(points) if points else None)
