"""`DecisionsFile`: a run's own record, ``decisions.jsonl``, which gets each decision as soon as it is made.

W&B writes its file late: a process that is killed loses up to 15 seconds of it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from adaptive_dropout.tracking.run import Run

__all__ = ["FILE", "DecisionsFile"]

FILE = "decisions.jsonl"


class DecisionsFile:
    """The file ``decisions.jsonl`` of a run, open for more decisions.

    If the folder has a file of the same run, it is rewritten with the decisions in ``run``, which after a resume are
    those up to the checkpoint. A file of another run is renamed to ``decisions-1.jsonl``, or the next free number.

    Args:
        folder: the folder of the run, created if it does not exist.
        run: the header and the decisions so far.

    Raises:
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        if path.exists() and _id_of(path) != run.id:
            path.rename(_free(folder))
        # The process may be killed at any time, and never leaves half a file under this name.
        fresh = folder / f"{FILE}.{os.getpid()}"
        self._file: TextIO = fresh.open("w", encoding="utf-8")
        try:
            self._write(*run.lines())
            fresh.replace(path)
        except OSError:
            self.close()
            fresh.unlink(missing_ok=True)
            raise

    def add(self, line: str) -> None:
        """Append the line of one decision; a process that is killed later does not lose it.

        Raises:
            OSError: the disk is full.
        """
        self._write(line)

    def close(self) -> None:
        """Close the file; lines for which a full disk had no room are lost."""
        with suppress(OSError):
            self._file.close()

    def _write(self, *lines: str) -> None:
        self._file.writelines(f"{line}\n" for line in lines)
        self._file.flush()


def _id_of(path: Path) -> str | None:
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            header = json.loads(file.readline())
        except ValueError:
            return None
    found = header.get("id") if isinstance(header, dict) else None
    return str(found)


def _free(folder: Path) -> Path:
    stem, suffix = os.path.splitext(FILE)
    number = 1
    while (path := folder / f"{stem}-{number}{suffix}").exists():
        number += 1
    return path
