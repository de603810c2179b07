"""`Case`, a reader and the files it is given; `feed` gives it one and says what it should not have done.

A reader survives a file if it reads it, or refuses it with an error of a kind that it documents, in one line that names
the file, within seconds and in bounded memory.
"""

from __future__ import annotations

import contextlib
import io
import random
import resource
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability.attempt import Outcome

__all__ = ["Case", "attempt_of", "feed"]

MEMORY = 2 * 2**30  # bytes of address space beyond those that the process has
LONGEST = 3000  # characters of a line that somebody reads
OUT_OF_MEMORY = ("allocate", "not enough memory", "out of memory")


@dataclass(frozen=True)
class Case:
    """A reader of files.

    Args:
        name: what is read.
        write: writes a spoilt file into a folder.
        read: reads it from there.
        errors: kinds of errors that the reader documents.
        located: whether each error has to name the folder of the file.
        seconds: it may take, on a machine that is busy.
    """

    name: str
    write: Callable[[random.Random, Path], Any]
    read: Callable[[Path], Any]
    errors: tuple[type[Exception], ...] = (ValueError,)
    located: bool = True
    seconds: float = 20.0


class _HungError(BaseException):
    pass


def attempt_of(cases: Sequence[Case], inputs: int) -> Callable[..., Outcome]:
    """Return an attempt that gives ``inputs`` files to the readers in turn."""

    def attempt(seed: int, folder: Path, inputs: int = inputs) -> Outcome:
        failures = []
        with _bounded():
            for number in range(inputs):
                case, place = cases[number % len(cases)], folder / str(number)
                place.mkdir()
                case.write(random.Random(f"{seed} {number}"), place)
                problem = feed(case, place)
                if problem is None:
                    _remove(place)
                else:
                    failures.append(f"{case.name}, input {number} of seed {seed}: {problem}")
        return Outcome(inputs, tuple(failures))

    return attempt


def feed(case: Case, folder: Path) -> str | None:
    """Return what ``case`` did wrong with the file in ``folder``; None if it survived it."""
    signal.signal(signal.SIGALRM, _hung)
    signal.setitimer(signal.ITIMER_REAL, case.seconds)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            case.read(folder)
    except case.errors as error:
        return _complaint(error, str(folder) if case.located else "")
    except _HungError:
        return f"no answer within {case.seconds:.0f} s"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:500]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def _complaint(error: Exception, place: str) -> str | None:
    said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    wrong = [
        "is empty" * (not said),
        "is of several lines" * (len(said.splitlines()) > 1),
        "is endless" * (len(said) > LONGEST),
        "does not name the file" * (place not in said),
        "ran out of memory" * any(words in said for words in OUT_OF_MEMORY),
    ]
    found = ", ".join(filter(None, wrong))
    return f"the error {found}: {type(error).__name__}: {said[:500]}" if found else None


def _hung(number: int, frame: object) -> None:
    raise _HungError


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _remove(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            _remove(entry)
        else:
            entry.unlink()
    folder.rmdir()
