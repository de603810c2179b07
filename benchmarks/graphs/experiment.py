"""One training run of a method, and the question as an `Experiment`."""

from __future__ import annotations

import functools
from pathlib import Path

from benchmarks.anchors.cells import AnchorRow, train
from benchmarks.graphs.methods import METHODS, Method
from benchmarks.graphs.table import write_page
from benchmarks.graphs.task import DeepCitation
from benchmarks.study.cells import Cell
from benchmarks.study.command import Experiment

__all__ = ["GRAPHS", "run"]


def run(cell: Cell, task: DeepCitation, method: Method, folder: Path, accelerator: str) -> AnchorRow:
    """Train once; the same cell gives the same row on the same machine, but for its seconds."""
    return train(cell, task, functools.partial(method.model, task=task), method.callbacks(), folder, accelerator)


TASKS = {"cora": functools.partial(DeepCitation, file="cora")}

GRAPHS = Experiment(Path(__file__).parent, TASKS, METHODS, AnchorRow, run, write_page)
"""The question and its studies."""
