"""The command line of a study: check everything, run the missing cells, and write the report."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptive_dropout.checks import check_count
from adaptive_dropout.processes import run_in_processes
from benchmarks.study.cells import Cell, CellRow, data_version, list_cells
from benchmarks.study.cluster import connect, run_on_ray
from benchmarks.study.recording import missing_from, record
from benchmarks.study.rows import read
from benchmarks.study.study import Kinds, Study, read_study

__all__ = ["Experiment", "main"]


@dataclass(frozen=True)
class Experiment:
    """A question that studies answer.

    Args:
        folder: its package, with the studies as YAML files and ``results.csv``.
        tasks: kinds by name; each makes an object whose ``files(folder)`` lists the files that it reads, or raises.
        methods: kinds by name.
        row: the dataclass of a row, a `CellRow`.
        run: returns the row of a cell from the cell, its task, its method, the data folder, and "cpu" or "gpu".
        report: writes tables and figures of the studies, from all rows, into a folder.
    """

    folder: Path
    tasks: Kinds
    methods: Kinds
    row: type[CellRow]
    run: Callable[[Cell, Any, Any, Path, str], CellRow]
    report: Callable[[Sequence[Study], Sequence[Any], Path], None]

    def study(self, name: str) -> Study:
        """Return the study with that name in the folder, or in the file ``name``; raise as `read_study` does."""
        file = Path(name) if name.endswith(".yaml") else self.folder / f"{name}.yaml"
        return read_study(file, self.tasks, self.methods)

    def studies(self, *asked: Study) -> list[Study]:
        """Return the studies in the folder, and those of ``asked`` that lie elsewhere."""
        here = [read_study(file, self.tasks, self.methods) for file in sorted(self.folder.glob("*.yaml"))]
        return [*here, *(study for study in asked if study not in here)]

    @property
    def run_cell(self) -> Callable[[Path, str, Cell], CellRow]:
        """Return the function of data folder, "cpu" or "gpu", and cell that returns a row; it can be pickled."""
        return functools.partial(_run_cell, self.run, self.tasks, self.methods)


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> int:
    """Run the missing cells of a study; return 1 if a cell failed, 130 after Ctrl-C, else 0."""
    options = _parser(experiment).parse_args(arguments)
    try:
        check_count(options.jobs, "jobs")
        study = experiment.study(options.study)
        cells = list_cells(study, _find_versions(experiment, study, options.data_dir))
        ray = connect(options.address) if options.engine == "ray" else None
        left = missing_from(options.out, experiment.row, cells)
    except (ValueError, TypeError, ImportError, OSError) as error:
        sys.exit(str(error))
    work = functools.partial(experiment.run_cell, options.data_dir, "gpu" if options.gpus else "cpu")
    finished = run_in_processes(work, left, options.jobs) if ray is None else run_on_ray(ray, work, left, options.gpus)
    code = record(finished, len(left), options.out)
    options.out.parent.mkdir(parents=True, exist_ok=True)  # it is missing if no cell gave a row
    experiment.report(experiment.studies(study), read(options.out, experiment.row), options.out.parent)
    return code


def _run_cell(
    run: Callable[..., CellRow], tasks: Kinds, methods: Kinds, folder: Path, accelerator: str, cell: Cell
) -> CellRow:
    return run(cell, cell.task.make(tasks), cell.method.make(methods), folder, accelerator)


def _find_versions(experiment: Experiment, study: Study, folder: Path) -> dict[str, str]:
    return {task.name: data_version(folder, task.make(experiment.tasks).files(folder)) for task in study.tasks}


def _parser(experiment: Experiment) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{experiment.folder.name}")
    parser.add_argument("study", help="the name of a YAML file in that folder, or the path of one elsewhere")
    parser.add_argument("--data-dir", type=Path, required=True, help="the data folder; on Ray, the same on every node")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, one thread each")
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    parser.add_argument("--address", help="of a Ray cluster; by default one is started on this machine")
    parser.add_argument("--gpus", type=float, default=0, help="the part of a GPU that each cell gets")
    parser.add_argument("--out", type=Path, default=experiment.folder / "results.csv")
    return parser
