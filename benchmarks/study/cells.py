"""A cell is one training run. Its key is a hash of everything that decides the result, so it runs once.

The commit is not part of the key: code that changes results needs a new results file, or a new setting.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from benchmarks.study.study import Choice, Study

__all__ = ["Cell", "CellRow", "data_version", "find_commit", "find_missing", "list_cells", "origin", "select_rows"]

R = TypeVar("R", bound="CellRow")
K = TypeVar("K", bound="_Keyed")


class _Keyed(Protocol):
    @property
    def key(self) -> object: ...


@dataclass(frozen=True)
class Cell:
    """A task, a method and a seed of a study.

    Args:
        study: its name, which is not part of the key.
        task: the data and the network.
        method: how dropout is used.
        seed: of split, initial weights, order and noise.
        data: the version of the data, from `data_version`.
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
    """The fields with which every row of a study begins.

    Args:
        key: of the cell.
        study: the name of the study that ran it; others may read it too.
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


def list_cells(study: Study, data: Mapping[str, str]) -> list[Cell]:
    """Return all cells, seed by seed, so that a study stopped early has whole seeds.

    ``data`` has the version of each task's data by the name of the task.
    """
    return [
        Cell(study.name, task, method, seed, data[task.name])
        for seed in study.seeds
        for task in study.tasks
        for method in study.methods
    ]


def find_missing(cells: Iterable[K], rows: Iterable[_Keyed]) -> list[K]:
    """Return the cells whose key no row has, each key once."""
    left, done = [], {row.key for row in rows}
    for cell in cells:
        if cell.key not in done:
            left.append(cell)
            done.add(cell.key)
    return left


def select_rows(study: Study, rows: Iterable[R]) -> dict[tuple[str, str], list[R]]:
    """Return the rows that have the settings of ``study``, by names of task and method, one for each seed.

    If the data changed in between, the last row counts.
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
    """Return eight hexadecimal digits for the paths in ``folder`` and the sizes of ``files``, which are not read."""
    lines = sorted(f"{file.relative_to(folder).as_posix()} {file.stat().st_size}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


@functools.cache
def find_commit() -> str:
    """Return the short name of the checked-out commit, with a plus where files differ from it."""
    place = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@functools.cache
def find_machine() -> str:
    """Return the architecture and the number of cores: enough to interpret seconds, and without a host name."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def origin(cell: Cell, *used: ModuleType) -> dict[str, Any]:
    """Return the fields of a `CellRow`, without the seconds; ``used`` are the modules whose versions it names."""
    return {
        "key": cell.key,
        "study": cell.study,
        "task": cell.task.name,
        "method": cell.method.name,
        "seed": cell.seed,
        "task_settings": cell.task.content,
        "method_settings": cell.method.content,
        "data": cell.data,
        "commit": find_commit(),
        "versions": ", ".join(f"{module.__name__} {module.__version__}" for module in used),
        "machine": find_machine(),
    }
