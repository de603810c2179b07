"""Train the missing cells and write the report: ``python -m benchmarks.uci small --data-dir DATA``."""

from __future__ import annotations

import sys

from benchmarks.study.command import main
from benchmarks.uci.experiment import UCI

if __name__ == "__main__":
    sys.exit(main(UCI))
