"""What cells give, written down as it comes, with a bar of the time left; failures are told in one line each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.study.lines import append

__all__ = ["record"]

C = TypeVar("C")


def record(
    finished: Generator[tuple[C, Any], None, None], total: int, out: Path, name: Callable[[C], str], console: Console
) -> int:
    """Append the row of every cell to ``out``, showing the time left on ``console``.

    Args:
        finished: each cell with its row, or with the exception that it ended in; closed at the end.
        total: how many there will be.
        out: the results.
        name: what a cell is called where it failed.
        console: where progress and failures are told.

    Returns:
        0, or 1 if a cell failed, or 130 if it was stopped by hand; what was finished is in ``out`` all the same.
    """
    failed = 0
    with _progress(console) as progress, contextlib.closing(finished):
        bar = progress.add_task("", total=total)
        try:
            for cell, row in finished:
                if isinstance(row, Exception):
                    failed += 1
                    console.print(f"failed: {name(cell)}: {row}", markup=False, soft_wrap=True)
                else:
                    append(out, row)
                progress.advance(bar)
        except KeyboardInterrupt:
            console.print("stopped; the same command goes on from here")
            return 130
    return int(failed > 0)


def _progress(console: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("training runs,"), TimeElapsedColumn())
    return Progress(*columns, TextColumn("so far,"), TimeRemainingColumn(), TextColumn("left"), console=console)
