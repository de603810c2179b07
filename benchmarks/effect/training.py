"""One training run of the study."""

from __future__ import annotations

from pathlib import Path

from benchmarks.effect.methods import METHODS
from benchmarks.effect.tasks import TASKS
from benchmarks.study.cells import Cell
from benchmarks.supervised.training import TrainedRow, trained

__all__ = ["run_cell"]


def run_cell(cell: Cell, folder: Path, accelerator: str) -> TrainedRow:
    """Return what `trained` returns for the kinds of this study."""
    return trained(cell, cell.task.made(TASKS), cell.method.made(METHODS), folder, accelerator)
