"""`PackedDecisions`: the decisions of a run in memory and in checkpoints, a hundred thousand in a few megabytes."""

from __future__ import annotations

import base64
import json
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, overload

from adaptive_dropout.tracking.compact import expand
from adaptive_dropout.tracking.decisions import Decision
from adaptive_dropout.tracking.lines import LONGEST, parse

__all__ = ["PackedDecisions"]

BLOCK = 2**18
"""Characters that are compressed together: to read one decision, all of its block are read."""


class PackedDecisions(Sequence[Decision]):
    """Decisions in the order in which they were made, to which more can be added.

    All but the last are kept as compressed text, a twentieth of the objects. Reading them takes 20 microseconds each,
    so what reads them often makes a list of them first.

    Args:
        rates: ``{name: p}`` before the first decision.
    """

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._rates = rates
        self._blocks: list[tuple[int, str]] = []  # the number of its first decision, and its text
        self._known = rates  # before the first decision of the open block
        self._open: list[str] = []
        self._size = 0
        self._count = 0
        self._last: Decision | None = None
        self._read: tuple[int, list[Decision]] = (-1, [])  # the block that was read last

    @classmethod
    def from_list(cls, rates: Mapping[str, float], stored: Iterable[Any]) -> PackedDecisions:
        """Return the decisions that `to_list` stored, or an earlier version as one mapping for each.

        Raises:
            TypeError, ValueError, KeyError: ``stored`` holds something else, or a number out of its range.
        """
        decisions = cls(rates)
        for part in stored:
            if isinstance(part, str):
                for decision in _unpack(part, rates):
                    decisions.append(decision)
            else:
                decisions.append(Decision.from_dict(part, decisions.rates_now()))
        return decisions

    def to_list(self) -> list[str]:
        """Return the decisions in JSON types."""
        return [text for _, text in self._blocks] + ([self._pack()] if self._open else [])

    def append(self, decision: Decision) -> str:
        """Add ``decision`` and return its line for ``decisions.jsonl``."""
        line = decision.to_line(self.rates_now())
        self._open.append(line)
        self._size += len(line)
        self._count += 1
        self._last = decision
        if self._size >= BLOCK:
            self._blocks.append((self._count - len(self._open), self._pack()))
            self._known, self._open, self._size = decision.after, [], 0
        return line

    def rates_now(self) -> Mapping[str, float]:
        """Return ``{name: p}`` after the last decision."""
        return self._rates if self._last is None else self._last.after

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __iter__(self) -> Iterator[Decision]:
        for number in range(len(self._blocks)):
            yield from self._block(number)
        yield from _decoded(self._open, self._known)

    @overload
    def __getitem__(self, place: int) -> Decision: ...
    @overload
    def __getitem__(self, place: slice) -> list[Decision]: ...
    def __getitem__(self, place: int | slice) -> Decision | list[Decision]:
        if isinstance(place, slice):
            return list(self)[place]
        number = range(self._count)[place]
        if number == self._count - 1:
            assert self._last is not None
            return self._last
        block = bisect_right(self._blocks, number, key=itemgetter(0)) - 1
        first_open = self._count - len(self._open)
        if number >= first_open:
            return self._open_block()[number - first_open]
        return self._block(block)[number - self._blocks[block][0]]

    def _open_block(self) -> list[Decision]:
        key = -1 - self._count
        if self._read[0] != key:
            self._read = (key, list(_decoded(self._open, self._known)))
        return self._read[1]

    def _block(self, number: int) -> list[Decision]:
        if self._read[0] != number:
            self._read = (number, list(_unpack(self._blocks[number][1], self._rates)))
        return self._read[1]

    def _pack(self) -> str:
        start = json.dumps([self._known[name] for name in self._rates], allow_nan=False)
        return base64.b64encode(zlib.compress("\n".join([start, *self._open]).encode())).decode()


def _unpack(text: str, rates: Mapping[str, float]) -> Iterator[Decision]:
    start, *lines = _inflate(text).split("\n")
    yield from _decoded(lines, expand(parse(start), rates, "rates"))


def _decoded(lines: Iterable[str], known: Mapping[str, float]) -> Iterator[Decision]:
    for line in lines:
        decision = Decision.from_dict(parse(line), known)
        yield decision
        known = decision.after


def _inflate(text: str) -> str:
    """Return what was compressed, if it is no larger than a block can be: a checkpoint may be someone else's."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(base64.b64decode(text, validate=True), BLOCK + 2 * LONGEST)
    except zlib.error as error:
        raise ValueError(f"its decisions cannot be unpacked ({error})") from error
    if not unpacking.eof:
        raise ValueError("its decisions are cut off, or too large when they are unpacked")
    return found.decode()
