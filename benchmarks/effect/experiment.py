"""The studies of this question, and how the results are shown: a table against no dropout, bars and learning curves."""

from __future__ import annotations

import functools
from pathlib import Path

from benchmarks.effect.methods import METHODS
from benchmarks.effect.population import check_tune
from benchmarks.effect.tasks import TASKS
from benchmarks.report.comparison import explain, find_name, methods_table
from benchmarks.report.figures import bars_and_curves
from benchmarks.report.page import Page, Rows, write_page
from benchmarks.study.command import Experiment
from benchmarks.study.study import Study
from benchmarks.supervised.training import TrainedRow, train

__all__ = ["EFFECT", "PAGE"]


class _Effect(Experiment):
    """Checks for Ray Tune before any cell runs, if the study that is to be run has a population."""

    def study(self, name: str) -> Study:
        """Return the study, as every experiment does; raise ImportError without Ray Tune."""
        study = super().study(name)
        if any(method.kind == "population" for method in study.methods):
            check_tune()
        return study


def _table(study: Study, rows: Rows) -> str:
    return methods_table(study, rows, find_name(study, "none"))


PAGE = Page("effect", "What dropout does", explain("no dropout"), _table, bars_and_curves)
"""The report on this question."""

EFFECT = _Effect(Path(__file__).parent, TASKS, METHODS, TrainedRow, train, functools.partial(write_page, PAGE))
"""The question and its studies."""
