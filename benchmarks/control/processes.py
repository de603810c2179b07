"""Cells in several processes, one thread each; their rows are written by one process, each as soon as it is there."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.control.cells import Cell, run_cell
from benchmarks.control.results import Row, append

__all__ = ["train"]


def train(cells: Sequence[Cell], folder: Path | None, out: Path, jobs: int, console: Console) -> int:
    """Train every cell and append its row to ``out``, showing the time left on ``console``.

    Args:
        cells: in the order in which they begin.
        folder: the data folder.
        out: the results.
        jobs: processes, at least 1.
        console: where progress and failures are told.

    Returns:
        0, or 1 if a cell failed, or 130 if it was stopped by hand; what was finished is in ``out`` all the same.
    """
    failed = 0
    spawn = multiprocessing.get_context("spawn")
    with _progress(console) as progress, ProcessPoolExecutor(jobs, spawn, _one_quiet_thread) as pool:
        bar = progress.add_task("", total=len(cells))
        waiting = {pool.submit(run_cell, cell, folder): cell for cell in cells}
        try:
            for future in as_completed(waiting):
                failed += not _record(future, waiting[future], out, console)
                progress.advance(bar)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            console.print("stopped; the same command goes on from here")
            return 130
    return int(failed > 0)


def _record(future: Future[Row], cell: Cell, out: Path, console: Console) -> bool:
    error = future.exception()
    if error is None:
        append(out, future.result())
        return True
    reason = str(error).split("\n")[0] or type(error).__name__
    name = f"{cell.task}, seed {cell.seed}, {cell.method}"
    console.print(f"failed: {name}: {reason}", markup=False, soft_wrap=True)
    return False


def _progress(console: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("training runs,"), TimeElapsedColumn())
    return Progress(*columns, TextColumn("so far,"), TimeRemainingColumn(), TextColumn("left"), console=console)


def _one_quiet_thread() -> None:
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    # Lightning 2.6 on torch 2.15: it asks isinstance(..., LeafSpec) itself.
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A pool whose parent is killed waits for work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
