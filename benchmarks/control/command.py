"""The command line of studies whose tasks and methods are chosen by name: ``--tasks 'digits:*' --methods rewind:0.3``.

Cells that are in the results are skipped, so the same command continues after it was stopped in any way.
"""

from __future__ import annotations

import argparse
import fnmatch
import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console

from adaptive_dropout.checks import check_count
from adaptive_dropout.processes import run_in_processes
from benchmarks.control.cells import Cell, Row, run_cell
from benchmarks.control.methods import METHODS
from benchmarks.control.table import RESULTS
from benchmarks.control.tasks import TASKS
from benchmarks.study.recording import missing_from, record

__all__ = ["list_cells", "main", "make_parser", "run_missing", "select"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the missing cells of the grid and the rules; return 1 if a cell failed, 130 after Ctrl-C, else 0."""
    options = make_parser("benchmarks.control", RESULTS).parse_args(arguments)
    return run_missing(options, TASKS, METHODS, run_cell, list_cells)


def run_missing(
    options: argparse.Namespace,
    tasks: Iterable[str],
    methods: Iterable[str],
    run: Callable[..., Row],
    order: Callable[[Sequence[str], Sequence[str], Sequence[int]], list[Cell]],
) -> int:
    """Run the cells that ``options`` ask for and ``options.out`` lacks.

    Args:
        options: parsed by `make_parser`.
        tasks: names that can be asked for.
        methods: names that can be asked for.
        run: a module-level function that returns the row of a cell; its keyword ``folder`` is the data folder.
        order: lists the cells of tasks, methods and seeds in the order in which they run.
    """
    try:
        check_count(options.jobs, "jobs")
        chosen = _select_readable(options.tasks, tasks, options.data_dir), select(options.methods, methods, "method")
        left = missing_from(options.out, Row, order(*chosen, options.seeds))
    except (ValueError, TypeError) as error:
        sys.exit(str(error))
    finished = run_in_processes(functools.partial(run, folder=options.data_dir), left, options.jobs)
    return record(finished, len(left), options.out)


def list_cells(tasks: Sequence[str], methods: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """Return all cells, seed by seed, so that a study stopped early has whole seeds."""
    return [Cell(task, seed, method) for seed in dict.fromkeys(seeds) for task in tasks for method in methods]


def select(patterns: Sequence[str], known: Iterable[str], what: str) -> list[str]:
    """Return the names in ``known`` that match one of ``patterns``, in their own order.

    Raises:
        ValueError: a pattern matches no name; the message calls it a ``what``.
    """
    names = list(known)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise ValueError(f"no {what} named {pattern!r}; there are {', '.join(names)}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def make_parser(module: str, out: Path) -> argparse.ArgumentParser:
    """Return the parser of ``python -m module``, whose results go to ``out`` by default."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["*"], help="names or patterns; by default all that can be read")
    parser.add_argument("--methods", nargs="+", default=["*"], help="names or patterns such as 'fixed:*'")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--data-dir", type=Path, help="the folder of MNIST, CIFAR-10, UCI and the tables")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=out)
    return parser


def _select_readable(patterns: Sequence[str], known: Iterable[str], folder: Path | None) -> list[str]:
    names = select(patterns, known, "task")
    unread = [name for name in names if not _can_be_read(name, folder)]
    if not unread:
        return names
    text = f"files of {', '.join(unread)} are needed; --data-dir is {folder}, and has to hold "
    text += ", ".join(sorted({str(TASKS[name].file) for name in unread}))
    if list(patterns) != ["*"]:
        raise ValueError(text)
    Console(stderr=True).print(f"left out: {text}", markup=False, soft_wrap=True)
    return [name for name in names if name not in unread]


def _can_be_read(name: str, folder: Path | None) -> bool:
    file = TASKS[name].file
    return file is None or (folder is not None and (folder / file).exists())
