"""`Decision`, and ``decisions.jsonl``, the file that each decision of a run enters at once.

W&B writes its file late: a process that is killed loses up to 15 seconds of it.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

from adaptive_dropout.tracking.compact import compact, expand
from adaptive_dropout.tracking.folders import make_folder
from adaptive_dropout.tracking.lines import check_kinds, check_names, check_step, parse, read_lines, read_signals

__all__ = ["FILE", "Decision", "DecisionsFile"]

FILE = "decisions.jsonl"
WAITS = 200  # times 10 ms, for another run that begins in the same folder
KINDS = {"improved": bool, "rewind": bool, "restart": bool, "reason": str, "forgot": bool, "controller": Mapping}


@dataclass(frozen=True)
class Decision:
    """One decision.

    Args:
        step: optimizer steps done so far.
        signals: the numbers that it is based on, by name; a loss that diverged is NaN or infinite.
        before: ``{name: p}`` before the decision.
        after: ``{name: p}`` after it.
        improved, rewind, restart, reason: as in `adaptive_dropout.State`.
        controller: the new settings, from this decision on, if the run was resumed with other settings; else None.
        forgot: whether the controller's memory began anew before this decision.
    """

    step: int
    signals: Mapping[str, float]
    before: Mapping[str, float]
    after: Mapping[str, float]
    improved: bool = False
    rewind: bool = False
    restart: bool = False
    reason: str = ""
    controller: Mapping[str, Any] | None = None
    forgot: bool = False

    @property
    def gap(self) -> float | None:
        """Validation minus training loss; None where one of them was not measured."""
        losses = [self.signals.get(name) for name in ("val_loss", "train_loss")]
        return None if None in losses else losses[0] - losses[1]  # type: ignore[operator]

    def to_dict(self, known: Mapping[str, float]) -> dict[str, Any]:
        """Return the decision in JSON types; NaN and infinity, which JSON lacks, are text.

        ``before`` is left out where it is what was ``known``, the rates after the decision before, and ``after`` where
        nothing moved; else they have the form of `compact`.
        """
        signals = {name: v if math.isfinite(v) else str(v) for name, v in self.signals.items()}
        stored = {"before": compact(self.before, known), "after": compact(self.after, self.before)}
        entries = vars(self) | stored | {"signals": signals}
        rare = [name for name in ("before", "after", "controller") if entries[name] is None]
        rare += [] if self.forgot else ["forgot"]
        return {name: value for name, value in entries.items() if name not in rare}

    def to_line(self, known: Mapping[str, float]) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(known), allow_nan=False)

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any], known: Mapping[str, float]) -> Decision:
        """Return the decision that `to_dict` stored, or an earlier version with all rates by name.

        Args:
            entries: what was stored.
            known: the rates after the decision before, or those that the run began with.

        Raises:
            TypeError, ValueError, KeyError: ``entries`` is not a decision, or a number in it is out of its range.
        """
        check_step(entries["step"])
        check_kinds(entries, KINDS)
        check_names(entries, cls.__dataclass_fields__)
        signals = read_signals(entries["signals"])
        before = expand(entries.get("before"), known, "before")
        after = expand(entries.get("after"), before, "after")
        return cls(**{**entries, "signals": signals, "before": before, "after": after})


class DecisionsFile:
    """The file ``decisions.jsonl`` of a run, open for more decisions.

    If the folder has a file of the same run, it is rewritten with ``lines``, which after a resume are those up to the
    checkpoint. A file of another run is renamed to ``decisions-1.jsonl``, or the next free number.

    Args:
        folder: the folder of the run, created if it does not exist.
        run_id: the id of the run.
        lines: its header and its decisions so far.

    Raises:
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, run_id: str, lines: Iterable[str]) -> None:
        path = self._path = make_folder(folder) / FILE
        # The process may be killed at any time, and never leaves half a file under this name.
        fresh = folder / f"{FILE}.{os.getpid()}.{run_id[:8]}"
        self._file = fresh.open("wb", buffering=0)
        try:
            self._write(*lines)
            with _alone_in(folder):
                if path.exists() and _id_of(path) != run_id:
                    path.rename(_free(folder))
                fresh.replace(path)
        except OSError:
            self.close()
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise

    def add(self, line: str) -> None:
        """Append the line of one decision; a process that is killed later does not lose it.

        Raises:
            FileNotFoundError: the file was deleted.
            OSError: the disk is full; the file ends with the line before.
        """
        if os.fstat(self._file.fileno()).st_nlink == 0 and not self._path.exists():
            raise FileNotFoundError(f"{FILE} was deleted")
        self._write(line)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._file.close()

    def _write(self, *lines: str) -> None:
        left = memoryview("".join(f"{line}\n" for line in lines).encode())
        whole = self._file.tell()
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(whole)  # no half line
                self._file.seek(whole)
            raise


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs that begin in ``folder`` waiting: each would take the other's file for an old one.

    Where the folder cannot be locked, or a lock is not given back, it goes on without.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(WAITS):
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _id_of(path: Path) -> str | None:
    try:
        header = parse(next(read_lines(path), "")) if path.is_file() else None
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
