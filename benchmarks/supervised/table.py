"""The table of a study that compares methods with one of them, as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from benchmarks.study.study import Study
from benchmarks.supervised.compare import Convergence, convergence, paired, summarised
from benchmarks.supervised.markdown import Rows, left_out, markdown, shown
from benchmarks.supervised.training import TrainedRow

__all__ = ["first_of", "meaning", "methods_table"]

_MEANING = """Means over seeds, in brackets the standard error. Tested are the weights with the lowest validation
loss. NLL is in nats per example, its difference from {reference} is of pairs of the same seed, below 0 is better. The
gap is validation loss minus that of as many training examples, dropout off. The last column says in how many runs the
best validation loss of {reference} was reached, after how many epochs, and with how many times its examples."""


def meaning(reference: str) -> str:
    """Return what the columns mean, in lines of at most 118 characters; ``reference`` is what one compares with."""
    return textwrap.fill(_MEANING.format(reference=reference), 118)


def methods_table(study: Study, rows: Rows, reference: str) -> str:
    """Return a section for each task of ``study`` that has rows, by names of task and method; losing methods first.

    ``reference`` is the name of the method that the others are compared with.
    """
    sections = []
    for task in study.tasks:
        if found := {name: there for (where, name), there in rows.items() if where == task.name}:
            order = sorted(found, key=lambda name: -summarised(found[name], lambda row: row.test_loss)[0])
            body = [_line(name, found[name], found.get(reference, [])) for name in order]
            lines = [*markdown(_header(reference), body), *left_out(study, found)]
            sections.append("\n".join([f"### {study.name}: {task.name}\n", *lines]))
    return "\n\n".join(sections)


def first_of(study: Study, kind: str) -> str:
    """Return the name of the first method of ``kind``; where ``study`` has none, that of the kind."""
    return next((method.name for method in study.methods if method.kind == kind), kind)


def _header(reference: str) -> list[str]:
    measured = ["accuracy, %", "NLL", f"NLL minus {reference}'s", "calibration error, %", "gap", "last p", "seconds"]
    return ["method", "seeds", *measured, f"{reference}'s best loss reached"]


def _line(name: str, rows: Sequence[TrainedRow], reference: Sequence[TrainedRow]) -> list[str]:
    against = paired(rows, reference, lambda row: row.test_loss)
    return [
        name,
        str(len(rows)),
        shown(summarised(rows, lambda row: 100 * row.test_accuracy), 2),
        shown(summarised(rows, lambda row: row.test_loss), 4),
        "not run" if against is None else shown(against, 4, "+"),
        shown(summarised(rows, lambda row: 100 * row.test_calibration), 2),
        shown(summarised(rows, lambda row: row.gap), 4, "+"),
        shown(summarised(rows, lambda row: row.final_rate), 3),
        f"{summarised(rows, lambda row: row.seconds)[0]:.0f}",
        _reached(convergence(rows, reference)),
    ]


def _reached(found: Convergence | None) -> str:
    if found is None:
        return "not run"
    how = f"{found.epochs:.1f} epochs, {found.ratio:.2f} x" if found.reached else "never"
    return f"{found.reached} of {found.runs}: {how}"
