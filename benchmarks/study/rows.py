"""The results on disk: a CSV file that only grows, by one flushed line for each training run or measurement.

A process that is killed loses the run it was in. If it leaves part of a line, `repair` drops that part.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

__all__ = ["append", "columns", "read", "read_cells", "repair", "replace"]

R = TypeVar("R")


def columns(kind: type) -> tuple[str, ...]:
    """Return the columns of ``kind``, a dataclass of str, int, float, float | None and tuple[float, ...]."""
    return tuple(field.name for field in fields(kind))


def read(file: Path, kind: type[R]) -> list[R]:
    """Return the rows in ``file`` as ``kind``, a dataclass; none if there is no file.

    Raises:
        ValueError: the columns are not those of ``kind``, or a cell should be a number and is not.
    """
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        reader = csv.reader(lines)
        header, known = next(reader, []), columns(kind)
        if tuple(header) != known:
            raise ValueError(f"{file}: the columns have to be {','.join(known)}, but are {','.join(header)}")
        types = get_type_hints(kind)
        return [kind(**_parse(f"{file}: line {reader.line_num}", types, known, cells)) for cells in reader]


def read_cells(file: Path) -> list[dict[str, str]]:
    """Return the rows in ``file`` as text by column."""
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def replace(file: Path, rows: Iterable[Any]) -> None:
    """Write ``rows``, dataclasses, in place of what ``file`` holds."""
    file.unlink(missing_ok=True)
    for row in rows:
        append(file, row)


def append(file: Path, row: Any) -> None:
    """Add ``row``, a dataclass or a mapping, and wait until it is on the disk; the first row gets a header."""
    cells = row if isinstance(row, Mapping) else asdict(row)
    new = not file.exists() or file.stat().st_size == 0
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        if new:
            writer.writerow(cells)
        writer.writerow(_to_cell(value) for value in cells.values())
        lines.flush()
        os.fsync(lines.fileno())


def repair(file: Path) -> str:
    """Cut off a last line that has no end; return what was cut off, or an empty string."""
    content = file.read_bytes() if file.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with file.open("r+b") as lines:
            lines.truncate(whole)
    return content[whole:].decode(errors="replace")


def _to_cell(value: Any) -> Any:
    if isinstance(value, tuple):  # a curve: four digits are enough to draw it, and keep the file small
        return " ".join(f"{number:.4g}" for number in value)
    if isinstance(value, float):
        return f"{value:.7g}"
    return "" if value is None else value


def _parse(place: str, types: Mapping[str, Any], known: tuple[str, ...], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(known):
        raise ValueError(f"{place} has {len(cells)} cells, but there are {len(known)} columns")
    try:
        return {name: _parse_cell(types[name], cell) for name, cell in zip(known, cells, strict=True)}
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _parse_cell(kind: Any, cell: str) -> Any:
    if kind is str or kind is int or kind is float:
        return kind(cell)
    if kind == tuple[float, ...]:
        return tuple(float(number) for number in cell.split())
    return float(cell) if cell else None
