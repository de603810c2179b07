"""A table that compares methods with one of them: means over seeds, and the cost in convergence."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.markdown import show, table
from benchmarks.report.page import Rows, by_method, list_missing
from benchmarks.study.statistics import pair, paired_difference, summarize
from benchmarks.study.study import Study
from benchmarks.supervised.training import TrainedRow

__all__ = ["Convergence", "epochs_to", "explain", "find_name", "measure_convergence", "methods_table"]

_MEANING = """Means over seeds, in brackets the standard error. Tested are the weights with the lowest validation
loss. NLL is in nats per example, its difference from {reference} is of pairs of the same seed, below 0 is better. The
gap is validation loss minus that of as many training examples, dropout off. The last column says in how many runs the
best validation loss of {reference} was reached, after how many epochs, and with how many times its examples."""


@dataclass(frozen=True)
class Convergence:
    """The cost of reaching the best validation loss of the reference run of the same seed.

    Args:
        reached: the number of runs that reached it.
        runs: the number of runs.
        epochs: the mean over those that reached it; NaN if none did.
        ratio: their examples over the reference's, in the mean.
    """

    reached: int
    runs: int
    epochs: float
    ratio: float


def explain(reference: str) -> str:
    """Return the meaning of the columns, in lines of at most 118 characters; others are compared with ``reference``."""
    return textwrap.fill(_MEANING.format(reference=reference), 118)


def methods_table(study: Study, rows: Rows, reference: str) -> str:
    """Return a section for each task of ``study`` that has rows; methods with the highest loss come first.

    ``reference`` is the name of the method with which the others are compared.
    """
    sections = []
    for task in study.tasks:
        if found := by_method(rows, task.name):
            order = sorted(found, key=lambda name: -summarize(found[name], lambda row: row.test_loss)[0])
            body = [_line(name, found[name], found.get(reference, [])) for name in order]
            lines = [*table(_header(reference), body), *list_missing(study, found)]
            sections.append("\n".join([f"### {study.name}: {task.name}\n", *lines]))
    return "\n\n".join(sections)


def find_name(study: Study, kind: str) -> str:
    """Return the name of the first method of ``kind``; if ``study`` has none, ``kind`` itself."""
    return next((method.name for method in study.methods if method.kind == kind), kind)


def epochs_to(row: TrainedRow, loss: float) -> float:
    """Return the epochs until the first validation with at most that ``loss``; infinite if there was none."""
    there = (i for i, found in enumerate(row.val_losses, start=1) if found <= loss)
    return next(there, math.inf) * row.epochs_apart


def measure_convergence(rows: Sequence[TrainedRow], reference: Sequence[TrainedRow]) -> Convergence | None:
    """Return the cost of reaching the loss of ``reference``, seed by seed; None if they share no seed."""
    pairs = pair(rows, reference)
    if not pairs:
        return None
    goals = [(row, other, min(other.val_losses)) for row, other in pairs]
    taken = [(epochs_to(row, goal), epochs_to(other, goal)) for row, other, goal in goals]
    reached = [(own, others) for own, others in taken if math.isfinite(own)]
    if not reached:
        return Convergence(0, len(pairs), math.nan, math.nan)
    epochs = sum(own for own, _ in reached) / len(reached)
    return Convergence(len(reached), len(pairs), epochs, sum(own / others for own, others in reached) / len(reached))


def _header(reference: str) -> list[str]:
    measured = ["accuracy, %", "NLL", f"NLL minus {reference}'s", "calibration error, %", "gap", "last p", "seconds"]
    return ["method", "seeds", *measured, f"{reference}'s best loss reached"]


def _line(name: str, rows: Sequence[TrainedRow], reference: Sequence[TrainedRow]) -> list[str]:
    against = paired_difference(rows, reference, lambda row: row.test_loss)
    return [
        name,
        str(len(rows)),
        show(summarize(rows, lambda row: 100 * row.test_accuracy), 2),
        show(summarize(rows, lambda row: row.test_loss), 4),
        "not run" if against is None else show(against, 4, "+"),
        show(summarize(rows, lambda row: 100 * row.test_calibration), 2),
        show(summarize(rows, lambda row: row.gap), 4, "+"),
        show(summarize(rows, lambda row: row.final_rate), 3),
        f"{summarize(rows, lambda row: row.seconds)[0]:.0f}",
        _show_convergence(measure_convergence(rows, reference)),
    ]


def _show_convergence(found: Convergence | None) -> str:
    if found is None:
        return "not run"
    how = f"{found.epochs:.1f} epochs, {found.ratio:.2f} x" if found.reached else "never"
    return f"{found.reached} of {found.runs}: {how}"
