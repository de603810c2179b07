"""Train what is missing and write the table: ``python -m benchmarks.uci small --data-dir DATA``.

Cells already in the results are skipped, so the same command goes on after it was stopped in any way.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.study.command import Experiment, main
from benchmarks.uci.cells import UciRow, run_cell
from benchmarks.uci.methods import METHODS
from benchmarks.uci.table import publish
from benchmarks.uci.tasks import TASKS

__all__ = ["UCI"]

UCI = Experiment(Path(__file__).parent, TASKS, METHODS, UciRow, run_cell, publish)

if __name__ == "__main__":
    sys.exit(main(UCI))
