"""One cell: a task under a method with a seed, trained and tested, as one row of the results."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import adaptive_dropout as ad
from benchmarks.beyond.methods import METHODS
from benchmarks.beyond.steering import steer
from benchmarks.beyond.tasks import TASKS
from benchmarks.study.cells import Cell, CellRow
from benchmarks.study.provenance import origin

__all__ = ["Row", "run_cell"]


@dataclass(frozen=True)
class Row(CellRow):
    """One training run.

    Args:
        val_loss: the lowest validation loss.
        test_loss: the test loss of the model that had it; nats, or squared error for numbers to predict.
        trivial_loss: of the best constant prediction, on the training data.
        final_rate: p at the end.
        rewinds: how often the run went back to its best, or to its beginning.
    """

    val_loss: float
    test_loss: float
    trivial_loss: float
    final_rate: float
    rewinds: int


def run_cell(cell: Cell, folder: Path, accelerator: str = "cpu") -> Row:
    """Train once and test; all of it runs on the CPU, where the models are too small for anything else."""
    task, method = cell.task.made(TASKS), cell.method.made(METHODS)
    torch.manual_seed(cell.seed)
    learner = task.learner(folder, cell.seed, method.start)
    began = time.process_time()
    found = steer(learner, method.controller)
    return Row(
        **origin(cell, ad, torch, np),
        seconds=time.process_time() - began,
        trivial_loss=learner.trivial_loss,
        **asdict(found),
    )
