"""The results on disk: a CSV file that only grows, one flushed line a training run.

A process that is killed loses the run it was in. What it leaves of a line is dropped, with a message, when the file is
opened again.
"""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["Row", "append", "read", "repair"]


@dataclass(frozen=True)
class Row:
    """One training run.

    Args:
        commit: of this repository; a plus means that files differed from it.
        torch: its version.
        lightning: its version.
        task: a name in `tasks.TASKS`.
        seed: of split, initial weights and order.
        method: a name in `methods.METHODS`.
        start: the p that training began with.
        val_loss: the lowest validation loss, nats per example.
        test_loss: that of the weights which had it.
        test_accuracy: in [0, 1]; None for a number to predict.
        test_rmse: in standard deviations of the training targets; None for classes.
        final_rate: the mean p of the layers at the last step.
        gradient_examples: examples through forward and backward, one through forward alone counted 1/3.
        seconds: process time of the training.
        rewinds: how often the best weights were restored on the way.
    """

    commit: str
    torch: str
    lightning: str
    task: str
    seed: int
    method: str
    start: float
    val_loss: float
    test_loss: float
    test_accuracy: float | None
    test_rmse: float | None
    final_rate: float
    gradient_examples: float
    seconds: float
    rewinds: int


COLUMNS = tuple(field.name for field in fields(Row))
_WORDS = {"commit", "torch", "lightning", "task", "method"}
_COUNTS = {"seed", "rewinds"}


def read(file: Path) -> list[Row]:
    """Return the rows in ``file``, none if there is no file.

    Raises:
        ValueError: the columns are not those of `Row`, or a cell is no number.
    """
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            raise ValueError(f"{file}: the columns have to be {','.join(COLUMNS)}, but are {','.join(header)}")
        return [_row(file, reader.line_num, cells) for cells in reader]


def append(file: Path, row: Row) -> None:
    """Add ``row`` as the last line and wait until it is on the disk; a new file gets a header first."""
    new = not file.exists() or file.stat().st_size == 0
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        writer.writerow("" if value is None else _short(value) for value in asdict(row).values())
        lines.flush()
        os.fsync(lines.fileno())


def repair(file: Path) -> str:
    """Cut off a last line without an end; return what was cut off, empty if nothing was."""
    content = file.read_bytes() if file.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with file.open("r+b") as lines:
            lines.truncate(whole)
    return content[whole:].decode(errors="replace")


def _short(value: Any) -> Any:
    return f"{value:.7g}" if isinstance(value, float) else value


def _row(file: Path, line: int, cells: list[str]) -> Row:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{file}: line {line} has {len(cells)} cells, but there are {len(COLUMNS)} columns")
    try:
        return Row(**{name: _value(name, cell) for name, cell in zip(COLUMNS, cells, strict=True)})
    except ValueError as error:
        raise ValueError(f"{file}: line {line}: {error}") from None


def _value(name: str, cell: str) -> Any:
    if name in _WORDS:
        return cell
    if name in _COUNTS:
        return int(cell)
    return float(cell) if cell else None
