"""Train what is missing and write table and figures: ``python -m benchmarks.placement mnist-small --data-dir DATA``.

Cells already in the results are skipped, so the same command goes on after it was stopped in any way.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from benchmarks.placement.methods import METHODS
from benchmarks.placement.page import PAGE
from benchmarks.placement.training import TASKS, run_cell
from benchmarks.study.command import Experiment, main
from benchmarks.supervised.publish import publish
from benchmarks.supervised.training import TrainedRow

__all__ = ["PLACEMENT"]

PLACEMENT = Experiment(Path(__file__).parent, TASKS, METHODS, TrainedRow, run_cell, functools.partial(publish, PAGE))

if __name__ == "__main__":
    sys.exit(main(PLACEMENT))
