"""A cell is one training run; its key is a hash of what decides the result: it runs once, and anew if that changes.

The commit is not part of the key: code that is changed on purpose asks for a new results file, or for another setting.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.study.study import Choice, Study

__all__ = ["Cell", "CellRow", "cells_of", "data_version", "missing", "rows_of"]

R = TypeVar("R", bound="CellRow")


@dataclass(frozen=True)
class Cell:
    """A task, a method and a seed of a study.

    Args:
        study: its name, which does not decide the result.
        task: what is trained.
        method: what is done about dropout.
        seed: of split, initial weights, order and noise.
        data: the version of the data, by `data_version`.
    """

    study: str
    task: Choice
    method: Choice
    seed: int
    data: str

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits: two of a million cells share them with probability 0.002."""
        content = "\n".join((self.task.content, self.method.content, str(self.seed), self.data))
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.task.name}, {self.method.name}, seed {self.seed}"


@dataclass(frozen=True)
class CellRow:
    """What every row of a study begins with.

    Args:
        key: of the cell.
        study: by which it was run; another may read it too.
        task: its name in that study.
        method: its name there.
        seed: of the cell.
        task_settings: the content of the task, as JSON.
        method_settings: that of the method.
        data: the version of the data.
        commit: of this repository; a plus means that files differed from it.
        versions: of this library, torch and Lightning.
        machine: that ran it.
        seconds: process time of the training.
    """

    key: str
    study: str
    task: str
    method: str
    seed: int
    task_settings: str
    method_settings: str
    data: str
    commit: str
    versions: str
    machine: str
    seconds: float


def cells_of(study: Study, data: Mapping[str, str]) -> list[Cell]:
    """Return every cell, seed by seed, so that a study stopped early has whole seeds; ``data`` is by name of a task."""
    return [
        Cell(study.name, task, method, seed, data[task.name])
        for seed in study.seeds
        for task in study.tasks
        for method in study.methods
    ]


def missing(cells: Iterable[Cell], rows: Iterable[CellRow]) -> list[Cell]:
    """Return the cells that no row is of, each once."""
    left, done = [], {row.key for row in rows}
    for cell in cells:
        if cell.key not in done:
            left.append(cell)
            done.add(cell.key)
    return left


def rows_of(study: Study, rows: Iterable[R]) -> dict[tuple[str, str], list[R]]:
    """Return the rows of the settings that ``study`` has now, by names of task and method, one a seed.

    Of several, with different data, the last one counts.
    """
    by_content = {(row.task_settings, row.method_settings, row.seed): row for row in rows}
    found: dict[tuple[str, str], list[R]] = {}
    for task in study.tasks:
        for method in study.methods:
            keys = [(task.content, method.content, seed) for seed in study.seeds]
            if there := [by_content[key] for key in keys if key in by_content]:
                found[task.name, method.name] = there
    return found


def data_version(folder: Path, files: Sequence[Path]) -> str:
    """Return eight hexadecimal digits for the places in ``folder`` and the sizes of ``files``, which are not read."""
    lines = sorted(f"{file.relative_to(folder).as_posix()} {file.stat().st_size}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
