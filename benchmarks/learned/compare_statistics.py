"""Which runs are set against which: only pairs of a task and a seed that all methods of a comparison have."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from benchmarks.control.compare import Cells, Difference, mean_and_error
from benchmarks.control.results import Row
from benchmarks.learned.compare_methods import BESIDE, PENALTIES, norm_method

__all__ = ["Tally", "chosen_norms", "compared_to", "complete", "tally"]


@dataclass(frozen=True)
class Tally:
    """A method over tasks: the mean difference, its standard error over the tasks, and the worst task's.

    ``wins`` and ``losses`` count tasks whose difference is beyond ``tolerance`` below and above 0, ``worse`` those
    above 0 by more than two standard errors over seeds.
    """

    tasks: int
    mean: float
    error: float
    worst: float
    wins: int
    losses: int
    worse: int


def complete(cells: Cells, methods: Collection[str]) -> dict[tuple[str, int, str], Row]:
    """Return the rows, of any method, of the pairs of task and seed that all ``methods`` were run on."""
    pairs = {(task, seed) for task, seed, _ in cells}
    whole = {(task, seed) for task, seed in pairs if all((task, seed, method) in cells for method in methods)}
    return {key: row for key, row in cells.items() if key[:2] in whole}


def chosen_norms(cells: Cells) -> dict[tuple[str, int, str], Row]:
    """Return, as methods such as ``fixed:0+l1``, the runs with the strength of lowest validation loss of each pair.

    They come with the gradient evaluations and seconds of all strengths that were tried.
    """
    chosen = {}
    for task, seed in {(task, seed) for task, seed, _ in cells}:
        for norm, (_, strengths) in PENALTIES.items():
            for base in BESIDE:
                rows = [cells.get((task, seed, norm_method(norm, strength, base))) for strength in strengths]
                tried = [row for row in rows if row]
                if len(tried) == len(strengths):
                    chosen[task, seed, f"{base}+{norm}"] = _best(tried, f"{base}+{norm}")
    return chosen


def compared_to(cells: Cells, task: str, method: str, base: str) -> Difference | None:
    """Return test loss of ``method`` minus that of ``base`` over the seeds that have both; None where there is none."""
    rows = [row for (name, _, m), row in cells.items() if (name, m) == (task, method)]
    pairs = [(row, cells.get((task, row.seed, base))) for row in rows]
    losses = [row.test_loss - reference.test_loss for row, reference in pairs if reference]
    return Difference(*mean_and_error(losses), len(losses)) if losses else None


def tally(differences: Collection[Difference], tolerance: float) -> Tally:
    """Return one method's counts from its difference on each task, at least one.

    Args:
        differences: one a task.
        tolerance: what two runs of one rate differ by anyway, in nats.
    """
    means = [d.mean for d in differences]
    return Tally(
        len(means),
        *mean_and_error(means),
        worst=max(means),
        wins=sum(mean < -tolerance for mean in means),
        losses=sum(not mean <= tolerance for mean in means),
        worse=sum(d.is_worse for d in differences),
    )


def _best(rows: Collection[Row], method: str) -> Row:
    best = min(rows, key=lambda row: row.val_loss)
    examples, seconds = sum(row.gradient_examples for row in rows), sum(row.seconds for row in rows)
    return replace(best, method=method, gradient_examples=examples, seconds=seconds)
