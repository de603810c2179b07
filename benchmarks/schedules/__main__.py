"""Train what is missing and write tables and figures: ``python -m benchmarks.schedules small --data-dir DATA``.

Cells already in the results are skipped, so the same command goes on after it was stopped in any way.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from benchmarks.schedules.methods import METHODS
from benchmarks.schedules.page import PAGE
from benchmarks.schedules.training import TASKS, run_cell
from benchmarks.study.command import Experiment, main
from benchmarks.supervised.publish import publish
from benchmarks.supervised.training import TrainedRow

__all__ = ["SCHEDULES"]

SCHEDULES = Experiment(Path(__file__).parent, TASKS, METHODS, TrainedRow, run_cell, functools.partial(publish, PAGE))

if __name__ == "__main__":
    sys.exit(main(SCHEDULES))
