"""One training run of a method, and the question as an `Experiment`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.anchors.cells import AnchorRow, train
from benchmarks.study.cells import Cell
from benchmarks.study.command import Experiment
from benchmarks.words.methods import METHODS, Method
from benchmarks.words.table import write_page
from benchmarks.words.task import Words

__all__ = ["WORDS", "run"]


def run(cell: Cell, task: Words, method: Method, folder: Path, accelerator: str) -> AnchorRow:
    """Train once; the same cell gives the same row on the same machine, but for its seconds."""
    build = lambda data: method.model(data.vocabulary, task)  # noqa: E731
    return train(cell, task, build, method.callbacks(), folder, accelerator)


WORDS = Experiment(Path(__file__).parent, {"words": Words}, METHODS, AnchorRow, run, write_page)
"""The question and its studies."""
