"""Reading a table of the user's own; every error names the place and the value in one line."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adaptive_dropout.data.archives import read_arrays
from adaptive_dropout.tracking.shown import shown

__all__ = ["Table", "read_table"]

LARGEST = 1e100
"""Beyond it a number has no variance."""

LAST_CLASS = 2**53  # up to here each integer is a float of its own
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Table:
    """Inputs ``x``, float64 (n, ...), and targets ``y``: int64 (n,) for classes, float64 (n,) or (n, k) for numbers."""

    x: NDArray[np.float64]
    y: NDArray[Any]


def read_table(path: Path, target: str | None = None) -> Table:
    """Read a ``.npz``, ``.csv`` or ``.tsv`` file.

    Args:
        path: the file; its suffix decides how it is read.
        target: the array, or the column, of the targets. None means the array ``y``; the column ``target``, else
            the last column.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is corrupt, or its content cannot be learned from; the message names place and value.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}: path has to name a .npz, .csv or .tsv file")
    if path.suffix == ".npz":
        x, y = _read_npz(path, "y" if target is None else target)
    elif path.suffix in _DELIMITERS:
        x, y = _read_text(path, target)
    else:
        raise ValueError(f"{path}: the suffix has to be .npz, .csv or .tsv, but is {path.suffix!r}")
    return Table(_inputs(path, x, len(y)), _targets(path, y))


def _read_npz(path: Path, target: str) -> tuple[NDArray[Any], NDArray[Any]]:
    (x, y), found = read_arrays(path, ("x", target))
    if x is None or y is None:
        raise ValueError(
            f"{path}: arrays named 'x' and {target!r} are needed, but it holds {shown(str(sorted(found)))}"
        )
    for name, array in (("x", x), (target, y)):
        if array.dtype.kind not in "biuf" or array.ndim == 0:
            raise ValueError(f"{path}: {name!r} has to be an array of numbers, but is {array.dtype} {array.shape}")
    return x, y


def _read_text(path: Path, target: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    header, rows = _lines(path)
    name = target if target is not None else ("target" if "target" in header else header[-1])
    if name not in header or len(header) < 2:
        raise ValueError(
            f"{path}: a column {shown(repr(name))} and one more are needed, but the header is {shown(str(header))}"
        )
    column = header.index(name)
    values = np.asarray([_numbers(path, line, header, cells) for line, cells in rows])
    y = values[:, column]
    integers = all(cells[column].strip().lstrip("+-").isdigit() for _, cells in rows)
    if integers and np.abs(y).max() > LAST_CLASS:
        raise ValueError(
            f"{path}: integer targets are classes, up to {LAST_CLASS}, but {y[np.abs(y).argmax()]:g} is one"
        )
    return np.delete(values, column, axis=1), y.astype(np.int64) if integers else y


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the cells of the header, and the number and the cells of every other line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=_DELIMITERS[path.suffix], strict=True)
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a readable {path.suffix} text ({shown(str(error))})") from None
    if len(lines) < 2:
        raise ValueError(f"{path}: a header and lines of numbers are needed, but it has {len(lines)} lines")
    return lines[0][1], lines[1:]


def _numbers(path: Path, line: int, header: list[str], cells: list[str]) -> list[float]:
    if len(cells) != len(header):
        raise ValueError(f"{path}: line {line} has {len(cells)} cells, but the header has {len(header)}")
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        name, cell = next(pair for pair in zip(header, cells, strict=True) if not _is_number(pair[1]))
        raise ValueError(
            f"{path}: line {line}, column {shown(repr(name))} holds {shown(repr(cell))}, not a number"
        ) from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _inputs(path: Path, x: NDArray[Any], n: int) -> NDArray[np.float64]:
    if len(x) != n:
        raise ValueError(f"{path}: inputs and targets have to be equally long, but are {len(x)} and {n}")
    if x.ndim < 2 or x[:1].size == 0:
        raise ValueError(f"{path}: the inputs need the shape (examples, features), but have {x.shape}")
    return _finite(path, "the inputs", x)


def _targets(path: Path, y: NDArray[Any]) -> NDArray[Any]:
    if y.dtype.kind == "f":
        return _finite(path, "the targets", y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
    classes = len(np.unique(y))
    if y.ndim != 1:
        raise ValueError(f"{path}: integer targets are classes and need the shape (examples,), but have {y.shape}")
    if not 2 <= classes <= max(2, len(y) // 2):
        raise ValueError(
            f"{path}: integer targets are classes, but {classes} different ones in {len(y)} examples cannot be "
            "learned; write numbers to predict as floats"
        )
    return y.astype(np.int64)


def _finite(path: Path, what: str, values: NDArray[Any]) -> NDArray[np.float64]:
    finite = values.astype(np.float64)
    bad = np.argwhere(~(np.abs(finite) <= LARGEST))
    if len(bad):
        place = tuple(int(i) for i in bad[0])
        right = "at most 1e100" if np.isfinite(finite[place]) else "finite"
        raise ValueError(f"{path}: {what} have to be {right}, but hold {values[place]} at {list(place)}")
    return finite
