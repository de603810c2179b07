"""Train the missing cells, one task at a time: ``python -m benchmarks.many --seeds 0 1 2 3 --data-dir DIR``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import lightning
import torch

from adaptive_dropout.callbacks import DropoutRateControl
from benchmarks.control.cells import Cell, Row
from benchmarks.control.command import list_cells, select
from benchmarks.control.methods import METHODS
from benchmarks.control.study_task import VALIDATIONS, ArrayTask
from benchmarks.control.tasks import TASKS
from benchmarks.many.simulate import KEPT, Planned, is_simulated, simulate
from benchmarks.study.cells import find_commit
from benchmarks.study.recording import missing_from
from benchmarks.study.rows import append

__all__ = ["RESULTS", "main", "plan"]

RESULTS = Path(__file__).with_name("results.csv")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the results lack. A task's rows are written when all its runs are done."""
    options = _parser().parse_args(arguments)
    tasks = {name: task for name, task in TASKS.items() if isinstance(task, ArrayTask) and is_simulated(task)}
    try:
        chosen = select(options.tasks, tasks, "task"), select(options.methods, METHODS, "method")
        left = missing_from(options.out, Row, list_cells(*chosen, options.seeds))
    except ValueError as error:
        sys.exit(str(error))
    for name in chosen[0]:
        cells = [cell for cell in left if cell.task == name]
        if not cells:
            continue
        began = time.perf_counter()
        rows = list(_run(tasks[name], cells, options.data_dir, options.device))
        print(f"{name}: {len(rows)} runs in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        for row in rows:
            append(options.out, row)


def plan(cell: Cell) -> Planned:
    """Return the run of a cell of `benchmarks.control`: where its rates start, and the rule that moves them, if any.

    Raises:
        ValueError: something else than a controller moves the rates.
    """
    method = METHODS[cell.method]
    callbacks = method.callbacks()
    rules = [callback.controller for callback in callbacks if isinstance(callback, DropoutRateControl)]
    if len(rules) != len(callbacks) and not cell.method.startswith("again"):
        raise ValueError(f"{cell.method} is no rule and no fixed rate; it runs in benchmarks.control only")
    return Planned(cell.method, cell.seed, method.start, rules[0] if rules else None)


def _run(task: ArrayTask, cells: Sequence[Cell], folder: Path | None, device: str) -> Iterator[Row]:
    began = time.perf_counter()
    results = simulate(task, folder, [plan(cell) for cell in cells], device)
    seconds = (time.perf_counter() - began) / len(cells)
    trained = task.fitting.steps * task.fitting.batch_size
    for cell, result in zip(cells, results, strict=True):
        measured = VALIDATIONS * KEPT * task.fitting.batch_size / 3 if result.planned.controller else 0.0
        yield Row(
            commit=find_commit(), torch=torch.__version__, lightning=lightning.__version__,
            task=cell.task, seed=cell.seed, method=cell.method, start=result.planned.start,
            val_loss=result.val_loss, test_loss=result.test_loss, test_accuracy=None, test_rmse=None,
            final_rate=result.final_rate, gradient_examples=trained + measured, seconds=seconds,
            rewinds=result.rewinds,
        )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["*"], help="patterns; networks of dense layers only")
    parser.add_argument(
        "--methods", nargs="+", default=["fixed:*", "again:*", "rewind:*", "restart:*"], help="patterns"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3], help="of split, weights and order")
    parser.add_argument("--data-dir", type=Path, help="for tasks that need files")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path, default=RESULTS, help="a CSV file that grows")
    return parser


if __name__ == "__main__":
    main()
