"""W&B's own file of a run, finished or not, read without a server.

It is a LevelDB log: blocks of 32 KiB that hold pieces, each with a checksum (4 bytes), its length (2) and its kind (1);
a record is one piece or several. W&B puts seven bytes of its own before the first piece: ":W&B", a number, a version.

Source: "leveldb Log format", in the documentation of LevelDB.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["history_values"]

MAGIC = b":W&B"
VERSION = 0
BLOCK = 32768
HEAD = 7  # bytes before each piece, and before the first one
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def history_values(file: Path, key: str) -> Iterator[str]:
    """Yield each text that was logged as ``key``, in order; warn where the file is cut off.

    Raises:
        ValueError: it is not a file of W&B, or one of another version.
        ImportError: the installed wandb does not say how its records are built.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    record_type = _record_type()
    complete = False
    for record in _records(file):
        try:
            message = record_type.FromString(record)
        except DecodeError:
            break
        complete |= message.HasField("exit")
        for item in message.history.item:
            if key in (item.key, "/".join(item.nested_key)):
                yield _text(item.value_json)
    if not complete:
        warnings.warn(f"{file} is not complete: the run was killed, or it has not ended", stacklevel=2)


def _text(value_json: str) -> str:
    try:
        value = json.loads(value_json)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, str) else "null"  # a broken line


def _record_type() -> Any:
    """Return the class of W&B's records, which its public interface does not have."""
    try:
        from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]
    except ImportError as error:
        remedy = "read decisions.jsonl in the folder of the run instead"
        raise ImportError(f"this version of wandb does not say how its files are built; {remedy}") from error
    return Record


def _records(file: Path) -> Iterator[bytes]:
    """Yield the records of ``file`` up to where it is cut off or broken."""
    data = file.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{str(file)!r} is not a run file of W&B")
    if len(data) >= HEAD and data[HEAD - 1] != VERSION:
        raise ValueError(f"{str(file)!r} has version {data[HEAD - 1]} of W&B's format; only {VERSION} can be read")
    place, parts = HEAD, bytearray()
    while place + HEAD <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEAD:
            place += left
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        piece = data[place + HEAD : place + HEAD + length]
        if kind not in (WHOLE, FIRST, MIDDLE, LAST) or len(piece) < length:
            return
        if kind in (WHOLE, FIRST):
            parts = bytearray()
        parts += piece
        if kind in (WHOLE, LAST):
            yield bytes(parts)
        place += HEAD + length
