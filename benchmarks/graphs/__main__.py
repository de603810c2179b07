"""Train the missing cells and write the table: ``python -m benchmarks.graphs cora --data-dir DATA``."""

from __future__ import annotations

import sys

from benchmarks.graphs.experiment import GRAPHS
from benchmarks.study.command import main

if __name__ == "__main__":
    sys.exit(main(GRAPHS))
