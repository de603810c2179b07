"""Train what is missing and write tables: ``python -m benchmarks.regularisers mnist-small --data-dir DATA``.

Cells already in the results are skipped, so the same command goes on after it was stopped in any way.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from benchmarks.regularisers.methods import METHODS
from benchmarks.regularisers.page import PAGE
from benchmarks.regularisers.training import run_cell
from benchmarks.study.command import Experiment, main
from benchmarks.supervised.image_tasks import IMAGE_TASKS
from benchmarks.supervised.publish import publish
from benchmarks.supervised.training import TrainedRow

__all__ = ["REGULARISERS"]

REGULARISERS = Experiment(
    Path(__file__).parent, IMAGE_TASKS, METHODS, TrainedRow, run_cell, functools.partial(publish, PAGE)
)

if __name__ == "__main__":
    sys.exit(main(REGULARISERS))
