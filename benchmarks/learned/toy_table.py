"""The rows of the toy problem as Markdown, beside what was published."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.learned.concrete_results import Row

__all__ = ["PUBLISHED", "lines"]

RMSE, FIRST, OTHERS, STEPS = range(4)
PUBLISHED = {  # n: RMSE, p of layer 1, p of layers 2 to 4, steps
    10: (1.901, 0.0761, 0.403, 2000),
    25: (1.349, 0.0797, 0.403, 2000),
    50: (1.238, 0.0678, 0.325, 1500),
    100: (1.258, 0.0734, 0.236, 1000),
    1000: (1.036, 0.0558, 0.232, 1000),
    10000: (1.004, 0.0511, 0.15, 1000),
}
NEAR = 0.01  # of p of layers 2 to 4
HEADER = "| n | steps | seeds | RMSE | published | p of layer 1 | published | p of layers 2 to 4 | published | apart |"


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table: the published recipe, its misses first, then the converged one, which has no counterpart."""
    yield "# Concrete dropout, the toy problem"
    yield ""
    place = rows[-1]
    yield (
        "y = 2x + 8 + N(0, 1), 3 x 1024 with ReLU, length scale 1e-4; means over seeds, with their standard deviation "
        "where there are several. RMSE on 1000 new examples, of the mean of 20 samples: 1 is the noise. "
        f"{place.machine}; {place.versions}; last commit {place.commit}, {place.started}."
    )
    for variant in ("published", "converged"):
        mine = [row for row in rows if row.variant == variant]
        if mine:
            yield ""
            yield f"## {variant.capitalize()} recipe"
            yield ""
            yield HEADER
            yield "|---" * HEADER.count(" |") + "|"
            known = variant == "published"
            yield from sorted((_line(mine, n, known) for n in PUBLISHED if _of(mine, n)), key=lambda x: "**" not in x)


def _of(rows: Sequence[Row], n: int) -> list[Row]:
    return list({row.seed: row for row in rows if row.n == n}.values())  # the last run of each seed


def _line(rows: Sequence[Row], n: int, known: bool) -> str:
    runs = _of(rows, n)
    published = PUBLISHED[n]
    others = [statistics.mean(row.rates[1:4]) for row in runs]
    apart = statistics.mean(others) - published[OTHERS]
    shown = f"{apart:+.3f}" if abs(apart) <= NEAR else f"**{apart:+.3f}**"
    expected = [f"{published[which]:g}" if known else "" for which in (RMSE, FIRST, OTHERS)]
    cells = [
        str(n),
        str(runs[0].steps),
        str(len(runs)),
        _spread([row.score for row in runs]),
        expected[0],
        _spread([row.rates[0] for row in runs], 4),
        expected[1],
        _spread(others),
        expected[2],
        shown if known else "",
    ]
    return f"| {' | '.join(cells)} |"


def _spread(values: Sequence[float], digits: int = 3) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"
