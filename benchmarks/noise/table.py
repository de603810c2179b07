"""The results as Markdown: ``python -m benchmarks.noise.table > benchmarks/noise/table.md``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from benchmarks.noise.contenders import CONTENDERS
from benchmarks.noise.results import RESULTS, Row, read

__all__ = ["lines"]


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table for each place and kind of pass: how many times as fast as nn.Dropout, by size."""
    yield "# Noise against nn.Dropout"
    yield ""
    yield "Median of nn.Dropout over that of each layer, in the same rounds: above 1 is faster. Written by `table.py`."
    for place, group in itertools.groupby(rows, _place):
        measured = {(row.contender, row.elements): row for row in group}
        sizes = sorted({elements for _, elements in measured})
        yield from ("", place, "")
        yield f"| layer | saved, bytes an element | {' | '.join(f'{size:,}' for size in sizes)} |"
        yield "|---|---|" + "---|" * len(sizes)
        for name in CONTENDERS:
            at = [measured[name, size] for size in sizes if (name, size) in measured]
            yield f"| {name} | {at[-1].saved:g} | {' | '.join(f'{row.ratio:.2f}' for row in at)} |"


def _place(row: Row) -> str:
    where = f"{row.machine}; {row.versions}; {row.commit}"
    return f"**{row.what}**, threads: {row.threads}, allocator: {row.allocator} ({where})"


if __name__ == "__main__":
    rows = sorted(read(RESULTS), key=_place)
    print("\n".join(lines(rows)))
