"""Learned rates beside the default controller: ``python -m benchmarks.learned.compare --data-dir DIR --jobs 1``.

Each run is a cell of `benchmarks.control`, with the same split, initial weights, order, steps, validations and choice
of weights; the grid and the controller are read from its results. Cells already in ``compare.csv`` are skipped, so the
same command goes on after it was stopped in any way. At the end ``compare.md`` is written from all rows;
``--seeds`` without a number does only that.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from adaptive_dropout.checks import check_count
from adaptive_dropout.processes import run_in_processes
from benchmarks.control import cells as study
from benchmarks.control.__main__ import missing_cells, select
from benchmarks.control.cells import Cell
from benchmarks.control.compare import by_cell
from benchmarks.control.methods import METHODS
from benchmarks.control.results import Row, read
from benchmarks.control.table import RESULTS as STUDY
from benchmarks.learned.compare_methods import LEARNED, NORMS, TASKS
from benchmarks.learned.compare_table import markdown
from benchmarks.study.lines import repair
from benchmarks.study.recording import record

__all__ = ["RESULTS", "cells_of", "main", "run_cell"]

RESULTS = Path(__file__).with_name("compare.csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and not there yet, write the table; return 1 if a cell failed, else 0."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        check_count(options.jobs, "jobs")
        names = select(options.methods, {**LEARNED, **NORMS}, "method")
        tasks = select(options.tasks, TASKS, "task")
        if cut := repair(options.out):
            told = f"{options.out}: dropped a last line that was never finished: {cut!r}"
            console.print(told, markup=False, soft_wrap=True)
        cells = cells_of(tasks, names, options.seeds, read(options.out))
    except (ValueError, TypeError) as error:
        sys.exit(str(error))
    finished = run_in_processes(functools.partial(run_cell, folder=options.data_dir), cells, options.jobs)
    code = record(finished, len(cells), options.out, str, console)
    options.out.with_suffix(".md").write_text(markdown(by_cell([*read(STUDY), *read(options.out)])))
    return code


def cells_of(tasks: Sequence[str], methods: Sequence[str], seeds: Sequence[int], rows: Sequence[Row]) -> list[Cell]:
    """Return the cells that no row is of: one seed after the other, and of each the learned rates before the norms."""
    parts = [[name for name in methods if name in part] for part in (LEARNED, NORMS)]
    return [cell for seed in seeds for part in parts for cell in missing_cells(tasks, part, [seed], rows)]


def run_cell(cell: Cell, folder: Path) -> Row:
    """Train once, as the study does, with a method that it does not have."""
    METHODS.update(LEARNED | NORMS)  # where the study looks a method up; this process trains nothing else
    return study.run_cell(cell, folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned.compare", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder that holds uci and tabular")
    parser.add_argument("--tasks", nargs="+", default=["*"], help="names or patterns")
    parser.add_argument("--methods", nargs="+", default=["*"], help="names or patterns such as 'disarm*'")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
