"""One training run of the study."""

from __future__ import annotations

from pathlib import Path

from benchmarks.regularisers.methods import METHODS
from benchmarks.study.cells import Cell
from benchmarks.supervised.image_tasks import IMAGE_TASKS
from benchmarks.supervised.training import TrainedRow, trained

__all__ = ["run_cell"]


def run_cell(cell: Cell, folder: Path, accelerator: str) -> TrainedRow:
    """Return what `trained` returns for the kinds of this study."""
    return trained(cell, cell.task.made(IMAGE_TASKS), cell.method.made(METHODS), folder, accelerator)
