"""The command line of a study: everything is checked, what is missing is run, and the tables are written."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from adaptive_dropout.checks import check_count
from adaptive_dropout.processes import run_in_processes
from benchmarks.study.cells import Cell, CellRow, cells_of, data_version, missing
from benchmarks.study.cluster import connect, run_on_ray
from benchmarks.study.lines import read, repair
from benchmarks.study.recording import record
from benchmarks.study.study import Kinds, Study, read_study

__all__ = ["Experiment", "main"]


@dataclass(frozen=True)
class Experiment:
    """A question that studies answer.

    Args:
        folder: its package: the studies, as YAML, and ``results.csv``.
        tasks: kinds by name; each makes something whose ``files(folder)`` lists what it reads, or raises.
        methods: kinds by name.
        row: what a cell gives, a `CellRow`.
        run_cell: returns the row of a cell from the data folder, on ``"cpu"`` or ``"gpu"``; a worker imports it.
        publish: writes tables and figures of the studies in the folder, from all rows, beside the results.
    """

    folder: Path
    tasks: Kinds
    methods: Kinds
    row: type[CellRow]
    run_cell: Callable[[Cell, Path, str], CellRow]
    publish: Callable[[Sequence[Study], Sequence[Any], Path], None]

    def study(self, name: str) -> Study:
        """Return the study in the folder with that name, or in a file elsewhere; raise as `read_study` does."""
        file = Path(name) if name.endswith(".yaml") else self.folder / f"{name}.yaml"
        return read_study(file, self.tasks, self.methods)

    def studies(self, asked: Study) -> list[Study]:
        """Return the studies in the folder, and the one that was asked for where it lies elsewhere."""
        here = [read_study(file, self.tasks, self.methods) for file in sorted(self.folder.glob("*.yaml"))]
        return here if asked in here else [*here, asked]


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and not there yet; return 1 if a cell failed, 130 if it was stopped by hand, else 0."""
    options = _parser(experiment).parse_args(arguments)
    console = Console(stderr=True)
    try:
        check_count(options.jobs, "jobs")
        study = experiment.study(options.study)
        cells = cells_of(study, _versions(experiment, study, options.data_dir))
        ray = connect(options.address) if options.engine == "ray" else None
        if cut := repair(options.out):
            told = f"{options.out}: dropped a last line that was never finished: {cut!r}"
            console.print(told, markup=False, soft_wrap=True)
        left = missing(cells, read(options.out, experiment.row))
    except (ValueError, TypeError, ImportError, OSError) as error:
        sys.exit(str(error))
    work = functools.partial(_work, experiment.run_cell, options.data_dir, "gpu" if options.gpus else "cpu")
    finished = run_in_processes(work, left, options.jobs) if ray is None else run_on_ray(ray, work, left, options.gpus)
    code = record(finished, len(left), options.out, str, console)
    options.out.parent.mkdir(parents=True, exist_ok=True)  # there is none where no cell gave a row
    experiment.publish(experiment.studies(study), read(options.out, experiment.row), options.out.parent)
    return code


def _work(run_cell: Callable[[Cell, Path, str], CellRow], folder: Path, accelerator: str, cell: Cell) -> CellRow:
    return run_cell(cell, folder, accelerator)


def _versions(experiment: Experiment, study: Study, folder: Path) -> dict[str, str]:
    return {task.name: data_version(folder, task.made(experiment.tasks).files(folder)) for task in study.tasks}


def _parser(experiment: Experiment) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {experiment.run_cell.__module__.rpartition('.')[0]}")
    parser.add_argument("study", help="the name of a YAML file beside the script, or the path of one")
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder of the data; on Ray, on every node")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, one thread each")
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    parser.add_argument("--address", help="of a Ray cluster; by default one is started on this machine")
    parser.add_argument("--gpus", type=float, default=0, help="how much of a GPU a cell asks for")
    parser.add_argument("--out", type=Path, default=experiment.folder / "results.csv")
    return parser
