"""The rows on the disk: a number, the section to which it belongs, and where and when it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.gpu.run import Measured
from benchmarks.study.place import Place

__all__ = ["RESULTS", "Row", "make_row", "select_last"]

RESULTS = Path(__file__).with_name("results.csv")


@dataclass(frozen=True)
class Row(Place):
    """One number; the fields after ``section`` are those of `run.Measured`."""

    section: str
    subject: str
    setting: str
    size: str
    quantity: str
    value: float
    note: str


def make_row(place: Place, section: str, measured: Measured) -> Row:
    """Return the row of a number that ``section`` yielded."""
    return Row(**asdict(place), section=section, **measured._asdict())


def select_last(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the last run of each section."""
    last: dict[str, str] = {}
    for row in rows:
        last[row.section] = max(row.started, last.get(row.section, ""))
    return [row for row in rows if row.started == last[row.section]]
