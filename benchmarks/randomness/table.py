"""The p-values as Markdown: the verdict, the most extreme, and each stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.randomness.battery import STREAM_TESTS
from benchmarks.randomness.results import Row
from benchmarks.randomness.verdict import LEVEL, two_sided, verdict

__all__ = ["lines"]

SHOWN = 10
INTRODUCTION = f"""Written by `python -m benchmarks.randomness`. A p-value is uniform in [0, 1] for random bits; near
0 or near 1 is a failure. The battery passes if the most extreme one, times the number of tests (Bonferroni), and the
p-value of all against the uniform distribution (Kolmogorov-Smirnov) are {LEVEL} or more; random bits do both in 98 of
100 batteries or more."""


def lines(rows: Sequence[Row], versions: str) -> Iterator[str]:
    """Yield the lines of the table; ``versions`` says what drew the keys."""
    result = verdict([row.p for row in rows])
    yield from ("# Randomness of the noise", "", *INTRODUCTION.splitlines(), "")
    yield f"**{'Passed' if result.passed else 'FAILED'}**: {result.tests} tests of {_total(rows):.3g} numbers."
    yield f"Most extreme, two-sided: {result.extreme:.2g}, times {result.tests}: {result.corrected:.2g}."
    yield f"All against uniform: {result.uniform:.2g}. Seeds {_seeds(rows)}; {versions}."
    yield from (
        "",
        "## The most extreme",
        "",
        "| stream | test | view | seed | p | two-sided |",
        "|---|---|---|---|---|---|",
    )
    for row in sorted(rows, key=lambda row: two_sided(row.p))[:SHOWN]:
        yield f"| {row.stream} | {row.test} | {row.view} | {row.seed} | {row.p:.4g} | {two_sided(row.p):.2g} |"
    yield from ("", "## p-values", "", "High bits and low bits of each seed.", "")
    names = [*STREAM_TESTS, "correlation"]
    yield f"| stream | {' | '.join(names)} |"
    yield "|---|" + "---|" * len(names)
    for stream in dict.fromkeys(row.stream for row in rows):
        cells = [" ".join(f"{r.p:.3f}" for r in rows if (r.stream, r.test) == (stream, name)) for name in names]
        yield f"| {stream} | {' | '.join(cells)} |"


def _seeds(rows: Sequence[Row]) -> str:
    return ", ".join(str(seed) for seed in dict.fromkeys(row.seed for row in rows))


def _total(rows: Sequence[Row]) -> int:
    return sum({(row.seed, row.stream): row.numbers for row in rows}.values())
