"""Train the missing cells and write the report: ``python -m benchmarks.regularisers mnist-small --data-dir DATA``."""

from __future__ import annotations

import sys

from benchmarks.regularisers.experiment import REGULARISERS
from benchmarks.study.command import main

if __name__ == "__main__":
    sys.exit(main(REGULARISERS))
