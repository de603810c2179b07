"""How the results are shown: a table against the constant rate, bars and learning curves."""

from __future__ import annotations

from benchmarks.study.study import Study
from benchmarks.supervised.figures import bars_and_curves
from benchmarks.supervised.markdown import Rows
from benchmarks.supervised.publish import Page
from benchmarks.supervised.table import first_of, meaning, methods_table

__all__ = ["PAGE"]


def _table(study: Study, rows: Rows) -> str:
    return methods_table(study, rows, first_of(study, "standard"))


PAGE = Page("schedules", "Planned rates", meaning("the first constant rate"), _table, bars_and_curves)
"""The page of this question."""
