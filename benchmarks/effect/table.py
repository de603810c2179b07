"""Write what ``results.csv`` says of each study as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.effect.compare import Convergence, Spread, convergence, paired, summarised
from benchmarks.effect.training import EffectRow
from benchmarks.study.study import Study

__all__ = ["INTRODUCTION", "study_table"]

INTRODUCTION = """Means over seeds, in brackets the standard error. Tested are the weights with the lowest validation
loss. NLL is in nats per example, its difference from no dropout is of pairs of the same seed, below 0 is better. The
gap is validation loss minus that of as many training examples, dropout off. The last column says in how many runs the
best validation loss of no dropout was reached, after how many epochs, and with how many times its examples."""

_HEADER = (
    "method",
    "seeds",
    "accuracy, %",
    "NLL",
    "NLL minus none's",
    "calibration error, %",
    "gap",
    "last p",
    "seconds",
    "none's best loss reached",
)
Rows = Mapping[tuple[str, str], Sequence[EffectRow]]


def study_table(study: Study, rows: Rows) -> str:
    """Return a section for each task of ``study`` that has rows, by names of task and method; losing methods first."""
    none = next((method.name for method in study.methods if method.kind == "none"), "")
    sections = []
    for task in study.tasks:
        if found := {name: there for (where, name), there in rows.items() if where == task.name}:
            order = sorted(found, key=lambda name: -summarised(found[name], lambda row: row.test_loss)[0])
            body = [_line(name, found[name], found.get(none, [])) for name in order]
            lines = [*_markdown(_HEADER, body), *_left_out(study, found)]
            sections.append("\n".join([f"### {study.name}: {task.name}\n", *lines]))
    return "\n\n".join(sections)


def _line(name: str, rows: Sequence[EffectRow], reference: Sequence[EffectRow]) -> list[str]:
    against = paired(rows, reference, lambda row: row.test_loss)
    return [
        name,
        str(len(rows)),
        _shown(summarised(rows, lambda row: 100 * row.test_accuracy), 2),
        _shown(summarised(rows, lambda row: row.test_loss), 4),
        "not run" if against is None else _shown(against, 4, "+"),
        _shown(summarised(rows, lambda row: 100 * row.test_calibration), 2),
        _shown(summarised(rows, lambda row: row.gap), 4, "+"),
        _shown(summarised(rows, lambda row: row.final_rate), 3),
        f"{summarised(rows, lambda row: row.seconds)[0]:.0f}",
        _reached(convergence(rows, reference)),
    ]


def _reached(found: Convergence | None) -> str:
    if found is None:
        return "not run"
    how = f"{found.epochs:.1f} epochs, {found.ratio:.2f} x" if found.reached else "never"
    return f"{found.reached} of {found.runs}: {how}"


def _shown(spread: Spread, digits: int, sign: str = "") -> str:
    mean, error = spread
    return f"{mean:{sign}.{digits}f}" + ("" if math.isnan(error) else f" ({error:.{digits}f})")


def _left_out(study: Study, found: Mapping[str, Sequence[EffectRow]]) -> Iterator[str]:
    short = {method.name: len(study.seeds) - len(found.get(method.name, [])) for method in study.methods}
    if missing := [f"{name} ({count} seeds)" for name, count in short.items() if count]:
        yield f"\nNot run: {', '.join(missing)}."


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for line in (header, ["---"] * len(header), *rows):
        yield "| " + " | ".join(line) + " |"
