"""Pieces of the tables: numbers with their errors, lines of Markdown, what has not been run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.study.study import Study
from benchmarks.supervised.compare import Spread
from benchmarks.supervised.training import TrainedRow

__all__ = ["Rows", "left_out", "markdown", "origin", "shown"]

Rows = Mapping[tuple[str, str], Sequence[TrainedRow]]
"""Rows by the names of task and method, a row a seed."""


def shown(spread: Spread, digits: int, sign: str = "") -> str:
    """Return the mean, and in brackets its standard error where there is one, nothing for NaN.

    ``sign`` is that of a format.
    """
    mean, error = spread
    if math.isnan(mean):
        return ""
    return f"{mean:{sign}.{digits}f}" + ("" if math.isnan(error) else f" ({error:.{digits}f})")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    for line in (header, ["---"] * len(header), *rows):
        yield "| " + " | ".join(line) + " |"


def left_out(study: Study, found: Mapping[str, Sequence[TrainedRow]]) -> Iterator[str]:
    """Yield a line that names what ``found``, by method, lacks of ``study``, if it lacks anything."""
    short = {method.name: len(study.seeds) - len(found.get(method.name, [])) for method in study.methods}
    if len(short) > 1 and len(set(short.values())) == 1 and (count := max(short.values())):
        yield f"\nNot run: {count} of the {len(study.seeds)} seeds of each."
    elif missing := [f"{name} ({count} seeds)" for name, count in short.items() if count]:
        yield f"\nNot run: {', '.join(missing)}."


def origin(rows: Sequence[TrainedRow]) -> str:
    """Return with which versions, and on which machines, the rows were run."""
    places = sorted({f"{row.versions}; {row.machine}" for row in rows})
    return f"Run with {'; '.join(places)}; one thread a run." if places else "Nothing was run."
