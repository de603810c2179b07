"""The p-values, the verdict on all of them, and the page. The same seeds give the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from benchmarks.randomness.battery import STREAM_TESTS, Integers, correlation, reversed_bits
from benchmarks.randomness.streams import Generator, Numbers, sequences, streams
from benchmarks.report.markdown import table

__all__ = ["LEVEL", "RESULTS", "Row", "Verdict", "judge", "lines", "measure", "two_sided"]

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


LEVEL = 0.01

SHOWN = 10
INTRODUCTION = f"""Written by `python -m benchmarks.randomness`. A p-value is uniform in [0, 1] for random bits; near
0 or near 1 is a failure. The battery passes if the most extreme one, times the number of tests (Bonferroni), and the
p-value of all against the uniform distribution (Kolmogorov-Smirnov) are {LEVEL} or more; random bits do both in 98 of
100 batteries or more."""


@dataclass(frozen=True)
class Verdict:
    """The result of many p-values together.

    Args:
        tests: their number.
        extreme: the two-sided p-value of the most extreme of them.
        corrected: that, times their number, at most 1.
        uniform: p-value of the Kolmogorov-Smirnov test of all against the uniform distribution.
    """

    tests: int
    extreme: float
    corrected: float
    uniform: float

    @property
    def passed(self) -> bool:
        """Whether both rules are met."""
        return self.corrected >= LEVEL and self.uniform >= LEVEL


def two_sided(p: float) -> float:
    """Return the probability of a p-value that is as near to 0 or to 1."""
    return 2 * min(p, 1 - p)


def judge(p_values: Sequence[float]) -> Verdict:
    """Return the verdict on ``p_values``; raise ValueError if there are none."""
    if not p_values:
        raise ValueError("a verdict takes one p-value or more, but got none")
    extreme = min(map(two_sided, p_values))
    uniform = float(stats.kstest(np.asarray(p_values), "uniform").pvalue)
    return Verdict(len(p_values), extreme, min(extreme * len(p_values), 1.0), uniform)


def lines(rows: Sequence[Row], versions: str) -> Iterator[str]:
    """Yield the lines of the table; ``versions`` are those of the library that drew the keys."""
    result = judge([row.p for row in rows])
    yield from ("# Randomness of the noise", "", *INTRODUCTION.splitlines(), "")
    yield f"**{'Passed' if result.passed else 'FAILED'}**: {result.tests} tests of {_total(rows):.3g} numbers."
    yield f"Most extreme, two-sided: {result.extreme:.2g}, times {result.tests}: {result.corrected:.2g}."
    yield f"All against uniform: {result.uniform:.2g}. Seeds {_seeds(rows)}; {versions}."
    yield from ("", "## The most extreme", "")
    extreme = sorted(rows, key=lambda row: two_sided(row.p))[:SHOWN]
    body = ([r.stream, r.test, r.view, str(r.seed), f"{r.p:.4g}", f"{two_sided(r.p):.2g}"] for r in extreme)
    yield from table(("stream", "test", "view", "seed", "p", "two-sided"), body)
    yield from ("", "## p-values", "", "High bits and low bits of each seed.", "")
    names = [*STREAM_TESTS, "correlation"]
    streams = dict.fromkeys(row.stream for row in rows)
    yield from table(
        ["stream", *names], ([stream, *(_join(rows, stream, name) for name in names)] for stream in streams)
    )


def _join(rows: Sequence[Row], stream: str, name: str) -> str:
    return " ".join(f"{row.p:.3f}" for row in rows if (row.stream, row.test) == (stream, name))


def _seeds(rows: Sequence[Row]) -> str:
    return ", ".join(str(seed) for seed in dict.fromkeys(row.seed for row in rows))


def _total(rows: Sequence[Row]) -> int:
    return sum({(row.seed, row.stream): row.numbers for row in rows}.values())
