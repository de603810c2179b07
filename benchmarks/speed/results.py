"""The rows, and groups of rows that were measured side by side: by place, noise, kind of pass and size."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.speed.contenders import COPY, NOISES, OURS
from benchmarks.study.place import Place

__all__ = [
    "RESULTS",
    "Case",
    "Group",
    "Groups",
    "Row",
    "compare_times",
    "find_saved",
    "group_last_runs",
    "share_of_copy",
]

RESULTS = Path(__file__).with_name("results.csv")


@dataclass(frozen=True)
class Row(Place):
    """A contender at one size.

    Args:
        noise: a name in `contenders.NOISES`.
        what: a name in `timing.PASSES`.
        elements: of a float32 input.
        contender: a name in its noise's contenders, or "copy".
        rounds: the number of times that it was timed.
        microseconds: the median of the rounds; NaN if it could not run.
        spread: half the distance between the quartiles, as a part of the median.
        saved: bytes an element kept for the backward pass, beside input and output.
        note: the reason why it could not run.
    """

    noise: str
    what: str
    elements: int
    contender: str
    rounds: int
    microseconds: float
    spread: float
    saved: float
    note: str


class Case(NamedTuple):
    """The fields that the rows of a group share."""

    device: str
    threads: int
    allocator: str
    noise: str
    what: str
    elements: int


Group = dict[str, Row]
Groups = dict[Case, Group]


def group_last_runs(rows: Iterable[Row]) -> Groups:
    """Return the groups, rows by contender, of the last run on each device."""
    rows = list(rows)
    last = {row.device: row.started for row in sorted(rows, key=lambda row: row.started)}
    groups: Groups = defaultdict(dict)
    for row in rows:
        if row.started == last[row.device]:
            case = Case(row.device, row.threads, row.allocator, row.noise, row.what, row.elements)
            groups[case][row.contender] = row
    return dict(groups)


def compare_times(group: Group, against: str, contender: str = OURS) -> float:
    """Return the time of ``against`` over that of ``contender``; NaN if one of them was not measured."""
    return _find_time(group, against) / _find_time(group, contender)


def share_of_copy(group: Group, contender: str = OURS) -> float:
    """Return the part of the copy bandwidth that it reaches if it moves no more bytes than it has to."""
    row = next(iter(group.values()))
    return _copies(row) * compare_times(group, COPY, contender)


def find_saved(group: Group, contender: str = OURS) -> float:
    """Return the bytes an element that it keeps for the backward pass; NaN if it was not measured."""
    return group[contender].saved if contender in group else math.nan


def _copies(row: Row) -> float:
    return NOISES[row.noise].copies if row.what == "forward+backward" else 1


def _find_time(group: Group, contender: str) -> float:
    return group[contender].microseconds if contender in group else math.nan
