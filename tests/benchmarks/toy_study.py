"""A study that takes no time: its cells write down that they ran, and do what their method says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.study.cells import Cell, CellRow
from benchmarks.study.command import Experiment
from benchmarks.study.study import Study


@dataclass(frozen=True)
class ToyTask:
    size: int
    rate: float

    def files(self, folder: Path) -> list[Path]:
        if not (folder / "data.txt").exists():
            raise FileNotFoundError(f"no data in {str(folder)!r}")
        return [folder / "data.txt"]


def toy(size: int = 3, rate: float = 0.5) -> ToyTask:
    if size < 1:
        raise ValueError(f"size has to be at least 1, but got {size}")
    return ToyTask(size, rate)


def plain() -> str:
    return "plain"


def slow(seconds: float = 0.5) -> str:
    return "slow"


def wrong() -> str:
    return "wrong"


def dying(times: int = 1) -> str:
    return "dying"


METHODS = {"plain": plain, "slow": slow, "wrong": wrong, "dying": dying}
TASKS = {"toy": toy}


@dataclass(frozen=True)
class ToyRow(CellRow):
    value: float
    curve: tuple[float, ...]


def run(cell: Cell, task: ToyTask, method: str, folder: Path, accelerator: str) -> ToyRow:
    """Leave a file named after the beginning, then sleep, fail, or die as often as the settings say."""
    begun = folder / f"begun-{cell.key}-{os.getpid()}-{time.monotonic_ns()}"
    begun.write_text(str(os.getpid()))
    if cell.method.kind == "slow":
        time.sleep(cell.method.settings["seconds"])
    if cell.method.kind == "wrong":
        raise RuntimeError("it does not learn\nand more of that")
    if cell.method.kind == "dying" and len(list(folder.glob(f"begun-{cell.key}-*"))) <= cell.method.settings["times"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return toy_row(cell, float(cell.seed))


def toy_row(cell: Cell, value: float) -> ToyRow:
    names = {"study": cell.study, "task": cell.task.name, "method": cell.method.name, "seed": cell.seed}
    contents = {"task_settings": cell.task.content, "method_settings": cell.method.content, "data": cell.data}
    where = {"commit": "abc", "versions": "1", "machine": "m", "seconds": 0.5}
    settings: dict[str, Any] = {"key": cell.key, **names, **contents, **where}
    return ToyRow(**settings, value=value, curve=(1.0, 0.25))


def report(studies: Sequence[Study], rows: Sequence[Any], folder: Path) -> None:
    (folder / "table.md").write_text(f"{len(rows)} rows of {', '.join(study.name for study in studies)}\n")


def experiment(folder: Path) -> Experiment:
    return Experiment(folder, TASKS, METHODS, ToyRow, run, report)
