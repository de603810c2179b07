"""Reading the arrays of an ``.npz`` file that someone else wrote: no code, and no more memory than it has data for."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from adaptive_dropout.tracking.shown import shown

__all__ = ["read_arrays"]

ROOM = 2**28  # bytes that any array may take
RATIO = 100  # beyond them, how many times as large as in the file it may be; measured numbers compress to a half
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_arrays(path: Path, names: tuple[str, ...]) -> tuple[list[NDArray[Any] | None], list[str]]:
    """Return the arrays called ``names`` in the file, None where there is none, and the names of all that it holds.

    Raises:
        ValueError: it is no ``.npz`` file, or an array in it is corrupt, or would take far more memory than the file.
    """
    try:
        # np.load on the path itself would leave the file open when it is corrupt.
        with path.open("rb") as file:
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise ValueError("it holds a single array without a name")
            _check_sizes(file, names, path.stat().st_size)
            file.seek(0)
            arrays = np.load(file, allow_pickle=False)
            found = list(arrays.files)
            return [arrays[name] if name in found else None for name in names], found
    except (ValueError, OSError, EOFError, RuntimeError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = shown(str(error).split("\n")[0])
        raise ValueError(f"{path}: not a readable .npz file ({reason}); numpy.savez writes one") from None


def _check_sizes(file: IO[bytes], names: tuple[str, ...], largest: int) -> None:
    """Raise a ValueError where an array would be unpacked to much more than the file has, or says that it is larger."""
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name not in names:
                continue
            size = entry.file_size
            if size > max(ROOM, RATIO * min(entry.compress_size, largest)):
                raise ValueError(f"{name!r} would take {size:,} bytes, from a file of {largest:,}")
            with archive.open(entry) as content:
                version = npy.read_magic(content)
                if version not in _HEADERS:
                    raise ValueError(f"{name!r} is no array of numbers")
                shape, _, dtype = _HEADERS[version](content)
                promised, left = math.prod(shape) * dtype.itemsize, size - content.tell()
            if promised > left and not dtype.hasobject:
                raise ValueError(f"{name!r} has to take {promised:,} bytes for its shape {shape}, but has {left:,}")
