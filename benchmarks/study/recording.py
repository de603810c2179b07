"""The results of cells: which are missing from a file, and how new ones are written to it as they arrive."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.study.cells import find_missing
from benchmarks.study.rows import append, read, repair

__all__ = ["missing_from", "record"]

C = TypeVar("C")


def missing_from(out: Path, kind: type[Any], cells: Iterable[C]) -> list[C]:
    """Return the cells that have no row in ``out``; an unfinished last line of it is dropped, and reported.

    ``kind`` is the dataclass of a row. It has a ``key``, as the cells have.
    """
    if cut := repair(out):
        text = f"{out}: dropped the unfinished last line {cut!r}"
        Console(stderr=True).print(text, markup=False, soft_wrap=True)
    return find_missing(cells, read(out, kind))  # type: ignore[type-var]


def record(finished: Generator[tuple[C, Any], None, None], total: int, out: Path) -> int:
    """Append the row of every cell to ``out``, and show the time left on standard error.

    Args:
        finished: each cell with its row, or with the exception that it ended in; it is closed at the end.
        total: the number of cells.
        out: the results.

    Returns:
        0, or 1 if a cell failed, or 130 after Ctrl-C; finished cells are in ``out`` in each case.
    """
    failed, console = 0, Console(stderr=True)
    with _progress(console) as progress, contextlib.closing(finished):
        bar = progress.add_task("", total=total)
        try:
            for cell, row in finished:
                if isinstance(row, Exception):
                    failed += 1
                    console.print(f"failed: {cell}: {row}", markup=False, soft_wrap=True)
                else:
                    append(out, row)
                progress.advance(bar)
        except KeyboardInterrupt:
            console.print("stopped; the same command continues from here")
            return 130
    return int(failed > 0)


def _progress(console: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("training runs,"), TimeElapsedColumn())
    return Progress(*columns, TextColumn("so far,"), TimeRemainingColumn(), TextColumn("left"), console=console)
