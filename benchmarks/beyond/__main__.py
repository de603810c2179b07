"""Run what is missing of the study and write the table: ``python -m benchmarks.beyond --data-dir DIR --jobs 1``.

Any study beside ``rates.yaml`` can be named, as in ``python -m benchmarks.beyond other --data-dir DIR``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.beyond.methods import METHODS
from benchmarks.beyond.table import publish
from benchmarks.beyond.tasks import TASKS
from benchmarks.beyond.training import Row, run_cell
from benchmarks.study.command import Experiment, main

__all__ = ["EXPERIMENT"]

FOLDER = Path(__file__).parent
EXPERIMENT = Experiment(FOLDER, TASKS, METHODS, Row, run_cell, publish)


if __name__ == "__main__":
    named = len(sys.argv) > 1 and not sys.argv[1].startswith("-")
    sys.exit(main(EXPERIMENT, sys.argv[1:] if named else ["rates", *sys.argv[1:]]))
