"""Train what is missing and write the tables: ``python -m benchmarks.effect mnist-small --data-dir DATA``.

Cells already in the results are skipped, so the same command goes on after it was stopped in any way.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from benchmarks.effect.methods import METHODS
from benchmarks.effect.page import PAGE
from benchmarks.effect.population import check_tune
from benchmarks.effect.tasks import TASKS
from benchmarks.effect.training import run_cell
from benchmarks.study.command import Experiment, main
from benchmarks.study.study import Study
from benchmarks.supervised.publish import publish
from benchmarks.supervised.training import TrainedRow

__all__ = ["EFFECT"]


class _Effect(Experiment):
    """Asks for Ray Tune before any cell runs, where the study that is to be run has a population."""

    def study(self, name: str) -> Study:
        """Return the study, as every experiment does; raise ImportError without Ray Tune."""
        study = super().study(name)
        if any(method.kind == "population" for method in study.methods):
            check_tune()
        return study


EFFECT = _Effect(Path(__file__).parent, TASKS, METHODS, TrainedRow, run_cell, functools.partial(publish, PAGE))

if __name__ == "__main__":
    sys.exit(main(EFFECT))
