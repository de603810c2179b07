"""Train the missing cells and write the report: ``python -m benchmarks.placement mnist-small --data-dir DATA``."""

from __future__ import annotations

import sys

from benchmarks.placement.experiment import PLACEMENT
from benchmarks.study.command import main

if __name__ == "__main__":
    sys.exit(main(PLACEMENT))
