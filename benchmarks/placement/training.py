"""One training run of the study."""

from __future__ import annotations

from pathlib import Path

from benchmarks.placement.methods import METHODS
from benchmarks.study.cells import Cell
from benchmarks.study.study import Kinds
from benchmarks.supervised.image_tasks import IMAGE_TASKS
from benchmarks.supervised.training import TrainedRow, trained

__all__ = ["TASKS", "run_cell"]

TASKS: Kinds = {name: IMAGE_TASKS[name] for name in ("mnist-cnn", "cifar10-cnn")}
"""The tasks whose network has the places."""


def run_cell(cell: Cell, folder: Path, accelerator: str) -> TrainedRow:
    """Return what `trained` returns for the kinds of this study."""
    return trained(cell, cell.task.made(TASKS), cell.method.made(METHODS), folder, accelerator)
