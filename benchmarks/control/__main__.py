"""Train what is missing: ``python -m benchmarks.control --methods 'fixed:*' --seeds 0 1 2 --data-dir DIR --jobs 2``.

Cells already in the results are skipped, so the same command goes on after it was stopped in any way.
"""

from __future__ import annotations

import argparse
import fnmatch
import functools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from adaptive_dropout.checks import check_count
from adaptive_dropout.processes import run_in_processes
from benchmarks.control import results
from benchmarks.control.cells import Cell, run_cell
from benchmarks.control.methods import METHODS
from benchmarks.control.results import Row
from benchmarks.control.table import RESULTS
from benchmarks.control.tasks import TASKS
from benchmarks.study.lines import repair
from benchmarks.study.recording import record

__all__ = ["main", "missing_cells", "select"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cells that are asked for and not there yet; return 1 if one of them failed, else 0."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        check_count(options.jobs, "jobs")
        tasks = _tasks(options.tasks, options.data_dir, console)
        methods = select(options.methods, METHODS, "method")
        cut = repair(options.out)
        if cut:
            console.print(
                f"{options.out}: dropped a last line that was never finished: {cut!r}", markup=False, soft_wrap=True
            )
        cells = missing_cells(tasks, methods, options.seeds, results.read(options.out))
    except (ValueError, TypeError) as error:
        sys.exit(str(error))
    finished = run_in_processes(functools.partial(run_cell, folder=options.data_dir), cells, options.jobs)
    return record(finished, len(cells), options.out, str, console)


def select(patterns: Sequence[str], known: Iterable[str], what: str) -> list[str]:
    """Return the names in ``known`` that match one of ``patterns``, in their own order.

    Raises:
        ValueError: a pattern matches none; ``what`` says in the message what it should have been.
    """
    names = list(known)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise ValueError(f"no {what} named {pattern!r}; there are {', '.join(names)}")
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def missing_cells(
    tasks: Sequence[str], methods: Sequence[str], seeds: Sequence[int], rows: Sequence[Row]
) -> list[Cell]:
    """Return the cells that no row is of, one seed after the other, so that a study stopped early has whole seeds."""
    done = {(row.task, row.seed, row.method) for row in rows}
    wanted = ((task, seed, method) for seed in dict.fromkeys(seeds) for task in tasks for method in methods)
    return [Cell(*key) for key in wanted if key not in done]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["*"], help="names or patterns; by default all that can be read")
    parser.add_argument("--methods", nargs="+", default=["*"], help="names or patterns such as 'fixed:*'")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--data-dir", type=Path, help="the folder of MNIST, CIFAR-10, UCI and the tables")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


def _tasks(patterns: Sequence[str], folder: Path | None, console: Console) -> list[str]:
    names = select(patterns, TASKS, "task")
    unread = [name for name in names if not _can_be_read(name, folder)]
    if not unread:
        return names
    what = f"files of {', '.join(unread)} are needed; --data-dir is {folder}, and has to hold "
    what += ", ".join(sorted({str(TASKS[name].file) for name in unread}))
    if list(patterns) != ["*"]:
        raise ValueError(what)
    console.print(f"left out: {what}", markup=False, soft_wrap=True)
    return [name for name in names if name not in unread]


def _can_be_read(name: str, folder: Path | None) -> bool:
    file = TASKS[name].file
    return file is None or (folder is not None and (folder / file).exists())


if __name__ == "__main__":
    sys.exit(main())
