"""Train the missing cells and write the report: ``python -m benchmarks.depth mlp --data-dir DATA``."""

from __future__ import annotations

import sys

from benchmarks.depth.experiment import DEPTH
from benchmarks.study.command import main

if __name__ == "__main__":
    sys.exit(main(DEPTH))
