"""Paired differences to what a grid search would have chosen, seed by seed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.beyond.training import Row

__all__ = ["Gap", "gaps", "means"]

Rows = Mapping[tuple[str, str], Sequence[Row]]


@dataclass(frozen=True)
class Gap:
    """A method on a task: its test loss minus the reference's.

    Args:
        task: its name.
        method: its name.
        mean: over seeds; above 0 is worse.
        error: standard error of ``mean``; NaN for one seed.
        seeds: how many pairs there are.
        chosen: the p of the reference of each seed.
        final: the last p of the method of each seed.
        seconds: process time over the mean of the grid's.
    """

    task: str
    method: str
    mean: float
    error: float
    seeds: int
    chosen: tuple[float, ...]
    final: tuple[float, ...]
    seconds: float

    @property
    def is_worse(self) -> bool:
        """Whether it is worse by more than two standard errors, or at all where there is no error."""
        return self.mean > (0.0 if math.isnan(self.error) else 2 * self.error)


def gaps(found: Rows) -> list[Gap]:
    """Return how no dropout and each steered rate compare, for each task.

    A seed counts where the whole grid of the study and the method have been trained.
    """
    tasks, methods = (list(dict.fromkeys(key[part] for key in found)) for part in (0, 1))
    fixed = [
        method
        for method in methods
        if all(_is_fixed(row) for (_, m), rows in found.items() if m == method for row in rows)
    ]
    compared = [method for method in methods if method not in fixed or method == "none"]
    given = (_gap(found, task, method, fixed) for task in tasks for method in compared if (task, method) in found)
    return [gap for gap in given if gap]


def means(found: Rows) -> dict[tuple[str, str], float]:
    """Return the mean test loss of each task and method."""
    return {key: sum(row.test_loss for row in rows) / len(rows) for key, rows in found.items()}


def _gap(found: Rows, task: str, method: str, fixed: Sequence[str]) -> Gap | None:
    pairs = []
    for row in found[task, method]:
        grid = [other for name in fixed for other in found.get((task, name), ()) if other.seed == row.seed]
        if len(grid) == len(fixed):
            pairs.append((row, min(grid, key=lambda other: other.val_loss), sum(r.seconds for r in grid) / len(grid)))
    if not pairs:
        return None
    mean, error = _mean_and_error([row.test_loss - reference.test_loss for row, reference, _ in pairs])
    return Gap(
        task,
        method,
        mean,
        error,
        len(pairs),
        chosen=tuple(reference.final_rate for _, reference, _ in pairs),
        final=tuple(row.final_rate for row, _, _ in pairs),
        seconds=sum(row.seconds for row, _, _ in pairs) / sum(seconds for *_, seconds in pairs),
    )


def _is_fixed(row: Row) -> bool:
    return json.loads(row.method_settings)["kind"] in ("none", "fixed")


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    mean, n = sum(values) / len(values), len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n) if n > 1 else math.nan
