"""Markdown: tables, numbers with their errors, and generated parts of a page that people write."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.study.statistics import Spread

__all__ = ["replace_between", "show", "show_places", "table"]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def show(spread: Spread, digits: int, sign: str = "") -> str:
    """Return the mean, with its standard error in brackets if it has one; an empty string for NaN.

    ``sign`` is "+" to show that of positive means.
    """
    mean, error = spread
    if math.isnan(mean):
        return ""
    return f"{mean:{sign}.{digits}f}" + ("" if math.isnan(error) else f" ({error:.{digits}f})")


def show_places(rows: Sequence[Any]) -> str:
    """Return the versions and the machines with which the rows were run."""
    places = sorted({f"{row.versions}; {row.machine}" for row in rows})
    return f"Run with {'; '.join(places)}; one thread a run." if places else "Nothing was run."


def replace_between(page: Path, name: str, text: str) -> None:
    """Put ``text`` between ``<!-- name: generated -->`` and ``<!-- name: end -->``, which ``page`` has once each.

    Raises:
        ValueError: the page does not have both in this order.
    """
    begin, end = f"<!-- {name}: generated -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"{page}: the generated part has to be between {begin!r} and {end!r}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
