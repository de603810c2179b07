"""The p-values as Markdown, with the verdict on all of them: two rules, each wrong once in a hundred times.

Bonferroni: none may be so near 0 or 1 that among as many tests it would be seen in fewer than 1 % of all batteries.
Kolmogorov-Smirnov: together they may not differ from uniform more than 1 % of all batteries do. Good generators
therefore pass both in 98 % of all batteries or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from benchmarks.randomness.battery import STREAM_TESTS
from benchmarks.randomness.results import Row
from benchmarks.report.markdown import table

__all__ = ["LEVEL", "Verdict", "judge", "lines", "two_sided"]

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
    """Yield the lines of the table; ``versions`` says what drew the keys."""
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
