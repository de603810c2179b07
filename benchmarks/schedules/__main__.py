"""Train the missing cells and write the report: ``python -m benchmarks.schedules small --data-dir DATA``."""

from __future__ import annotations

import sys

from benchmarks.schedules.experiment import SCHEDULES
from benchmarks.study.command import main

if __name__ == "__main__":
    sys.exit(main(SCHEDULES))
