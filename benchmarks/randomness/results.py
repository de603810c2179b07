"""The p-values: the same seeds give the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.randomness.battery import STREAM_TESTS, Integers, correlation, reversed_bits
from benchmarks.randomness.streams import Generator, Numbers, sequences, streams

__all__ = ["RESULTS", "Row", "measure"]

RESULTS = Path(__file__).with_name("results.csv")
APART = 5000  # seeds: each of the two uses about 1000 behind its own
VIEWS: dict[str, Callable[[Integers, int], Integers]] = {
    "high bits": lambda numbers, bits: numbers,
    "low bits": reversed_bits,
}


@dataclass(frozen=True)
class Row:
    """One test of one stream.

    Args:
        seed: of torch's generator, from which keys are drawn.
        stream: its name.
        test: a name in `battery.STREAM_TESTS`, or "correlation".
        view: "high bits" or "low bits".
        numbers: their number.
        p: the p-value.
    """

    seed: int
    stream: str
    test: str
    view: str
    numbers: int
    p: float


def measure(generator: Generator, seed: int, n: int, length: int) -> Iterator[Row]:
    """Yield a row for each test: of streams of ``n`` numbers, and of sequences of ``length`` each."""
    for stream in streams(generator, seed, n):
        for name, test in STREAM_TESTS.items():
            yield from _rows(seed, stream, name, test)
    for several in sequences(generator, seed + APART, length):
        yield from _rows(seed, several, "correlation", correlation)


def _rows(seed: int, read: Numbers, name: str, test: Callable[[Integers, int], float]) -> Iterator[Row]:
    for view, seen in VIEWS.items():
        p = test(seen(read.numbers, read.bits), read.bits)
        yield Row(seed, read.name, name, view, read.numbers.size, float(f"{p:.6g}"))
