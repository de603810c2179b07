"""The rows of spatial concrete dropout as Markdown, beside what was published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.learned.concrete_results import Row

__all__ = ["lines"]

PUBLISHED = (0.9892, (0.0121, 0.0386, 0.4776, 0.0550))
TARGET = 0.989


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table, the runs below the target first."""
    place = rows[-1]
    yield "# Spatial concrete dropout on MNIST"
    yield ""
    yield (
        f"Convnet 32-64-128, length scale 1e-4; test accuracy of the last epoch, at least {TARGET} wanted. "
        f"{place.machine}; {place.versions}; last commit {place.commit}, {place.started}."
    )
    yield ""
    yield "| run | accuracy | p of conv 32 | conv 64 | dense 128 | dense 10 | minutes |"
    yield "|---|---|---|---|---|---|---|"
    for row in sorted(rows, key=lambda row: (row.score >= TARGET, row.score)):
        shown = f"{row.score:.4f}" if row.score >= TARGET else f"**{row.score:.4f}**"
        yield _line(f"{row.variant}, seed {row.seed}", shown, row.rates, f"{row.seconds / 60:.0f}")
    yield _line("published", f"{PUBLISHED[0]:.4f}", PUBLISHED[1], "")


def _line(name: str, score: str, rates: Sequence[float], minutes: str) -> str:
    return f"| {name} | {score} | {' | '.join(f'{p:.4f}' for p in rates)} | {minutes} |"
