"""The results on disk: a CSV file that only grows, one flushed line a training run.

A process that is killed loses the run it was in. What it leaves of a line is dropped, with a message, when the file is
opened again.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

__all__ = ["append", "columns", "read", "repair"]

R = TypeVar("R")


def columns(kind: type) -> tuple[str, ...]:
    """Return the columns of ``kind``, a dataclass of str, int, float, float | None and tuple[float, ...]."""
    return tuple(field.name for field in fields(kind))


def read(file: Path, kind: type[R]) -> list[R]:
    """Return the rows in ``file``, none if there is no file.

    Raises:
        ValueError: the columns are not those of ``kind``, or a cell is no number where one has to be.
    """
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        reader = csv.reader(lines)
        header, known = next(reader, []), columns(kind)
        if tuple(header) != known:
            raise ValueError(f"{file}: the columns have to be {','.join(known)}, but are {','.join(header)}")
        types = get_type_hints(kind)
        return [kind(**_values(f"{file}: line {reader.line_num}", types, known, cells)) for cells in reader]


def append(file: Path, row: Any) -> None:
    """Add ``row``, a dataclass or a mapping, after a header if it is the first, and wait until it is on the disk."""
    cells = row if isinstance(row, Mapping) else asdict(row)
    new = not file.exists() or file.stat().st_size == 0
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        if new:
            writer.writerow(cells)
        writer.writerow(_written(value) for value in cells.values())
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


def _written(value: Any) -> Any:
    if isinstance(value, tuple):  # a curve: four digits are enough to draw it, and keep the file small
        return " ".join(f"{number:.4g}" for number in value)
    if isinstance(value, float):
        return f"{value:.7g}"
    return "" if value is None else value


def _values(place: str, types: Mapping[str, Any], known: tuple[str, ...], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(known):
        raise ValueError(f"{place} has {len(cells)} cells, but there are {len(known)} columns")
    try:
        return {name: _value(types[name], cell) for name, cell in zip(known, cells, strict=True)}
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _value(kind: Any, cell: str) -> Any:
    if kind is str or kind is int or kind is float:
        return kind(cell)
    if kind == tuple[float, ...]:
        return tuple(float(number) for number in cell.split())
    return float(cell) if cell else None
