"""What was measured side by side, by place, noise, kind of pass and size; and the numbers that it says."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from benchmarks.speed.contenders import COPY, NOISES, OURS
from benchmarks.speed.results import Row

__all__ = ["Case", "Group", "Groups", "last_runs", "saved", "share_of_copy", "times_as_fast"]


class Case(NamedTuple):
    """What the rows of a group have in common."""

    device: str
    threads: int
    allocator: str
    noise: str
    what: str
    elements: int


Group = dict[str, Row]
Groups = dict[Case, Group]


def last_runs(rows: Iterable[Row]) -> Groups:
    """Return the groups, rows by contender, of the last run on each device."""
    rows = list(rows)
    last = {row.device: row.started for row in sorted(rows, key=lambda row: row.started)}
    groups: Groups = defaultdict(dict)
    for row in rows:
        if row.started == last[row.device]:
            case = Case(row.device, row.threads, row.allocator, row.noise, row.what, row.elements)
            groups[case][row.contender] = row
    return dict(groups)


def times_as_fast(group: Group, against: str, contender: str = OURS) -> float:
    """Return the time of ``against`` over that of ``contender``; NaN if one of them was not measured."""
    return _microseconds(group, against) / _microseconds(group, contender)


def share_of_copy(group: Group, contender: str = OURS) -> float:
    """Return the part of the copy bandwidth that it reaches if it moves no more bytes than it has to."""
    row = next(iter(group.values()))
    return _copies(row) * times_as_fast(group, COPY, contender)


def saved(group: Group, contender: str = OURS) -> float:
    """Return the bytes an element that it keeps for the backward pass; NaN if it was not measured."""
    return group[contender].saved if contender in group else math.nan


def _copies(row: Row) -> float:
    return NOISES[row.noise].copies if row.what == "forward+backward" else 1


def _microseconds(group: Group, contender: str) -> float:
    return group[contender].microseconds if contender in group else math.nan
