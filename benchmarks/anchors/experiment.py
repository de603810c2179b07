"""The tasks by name, and the question as an `Experiment`."""

from __future__ import annotations

import functools
from pathlib import Path

from benchmarks.anchors.cells import AnchorRow, run
from benchmarks.anchors.characters import Characters, LargerCharacters
from benchmarks.anchors.graphs import Citation, CitationNodes
from benchmarks.anchors.methods import METHODS
from benchmarks.anchors.minesweeper import Minesweeper
from benchmarks.anchors.sentences import Reviews, Sentences
from benchmarks.anchors.table import write_page
from benchmarks.anchors.tabular import Adult, California
from benchmarks.study.command import Experiment
from benchmarks.study.study import Kinds
from benchmarks.words.task import Words

__all__ = ["ANCHORS", "TASKS"]

TASKS: Kinds = {
    "cora": functools.partial(Citation, file="cora"),
    "cora-nodes": functools.partial(CitationNodes, file="cora"),
    "citeseer": functools.partial(Citation, file="citeseer"),
    "citeseer-nodes": functools.partial(CitationNodes, file="citeseer"),
    "california": California,
    "adult": Adult,
    "trec": Sentences,
    "mr": Reviews,
    "minesweeper": Minesweeper,
    "words": Words,
    "characters": Characters,
    "nanogpt": LargerCharacters,
}
"""Every task by its name, which is also its key in `published.PUBLISHED`."""

ANCHORS = Experiment(Path(__file__).parent, TASKS, METHODS, AnchorRow, run, write_page)
"""The question and its studies."""
