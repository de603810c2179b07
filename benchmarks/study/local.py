"""Cells on the cores at hand: processes of one thread each, and a new one where one dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from benchmarks.study.worker import ATTEMPTS, attempt, one_quiet_thread

__all__ = ["run_local"]

C = TypeVar("C")
R = TypeVar("R")
_SPAWN = multiprocessing.get_context("spawn")


def run_local(work: Callable[[C], R], cells: Sequence[C], jobs: int) -> Generator[tuple[C, R | Exception], None, None]:
    """Yield each cell with what ``work`` gave for it, or why it gave nothing, as soon as that is known.

    A cell whose process dies is begun again in a new one, `ATTEMPTS` times in all. The processes end with this one,
    however it ends, and when the generator is closed.

    Args:
        work: a module-level function, or a partial of one.
        cells: in the order in which they begin.
        jobs: processes, at least 1.
    """
    waiting = iter(cells)
    desks = [_Desk[C, R](work, cell) for _, cell in zip(range(jobs), waiting, strict=False)]
    try:
        while desks:
            ready = wait([desk.here for desk in desks])
            for desk in [desk for desk in desks if desk.here in ready]:
                cell, answer = desk.cell, desk.answer()
                if answer is None:
                    continue
                # The next one begins before anybody looks at this one.
                if not desk.begin_next(waiting):
                    desks.remove(desk)
                yield cell, answer
    finally:
        for desk in desks:
            desk.close()


class _Desk(Generic[C, R]):
    """A process and the cell that it works on.

    Attributes:
        cell: what was begun last.
        here: the end of a pipe, ready to be read when the process has answered or died.
    """

    def __init__(self, work: Callable[[C], R], cell: C) -> None:
        self._work = work
        self._open()
        self._begin(cell)

    def begin_next(self, cells: Iterator[C]) -> bool:
        """Begin the next of ``cells``; where there is none, end the process and return False."""
        for cell in cells:
            self._begin(cell)
            return True
        self.close()
        return False

    def answer(self) -> R | Exception | None:
        """Return what the process answered; None where it died and the cell was begun again."""
        try:
            given, reason = self.here.recv()
        except (EOFError, OSError):
            self._replace()
            if self._attempts == ATTEMPTS:
                return RuntimeError(f"its process died {ATTEMPTS} times")
            self._attempts += 1
            self.here.send(self.cell)
            return None
        answer: R | Exception = given if reason is None else RuntimeError(reason)
        return answer

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.terminate()
        self._process.join()
        self.here.close()

    def _begin(self, cell: C) -> None:
        self.cell, self._attempts = cell, 1
        try:
            self.here.send(cell)
        except OSError:  # it died between two cells
            self._replace()
            self.here.send(cell)

    def _open(self) -> None:
        self.here, there = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(there,))
        self._process.start()
        there.close()  # so that its death is seen as the end of the pipe
        self.here.send(self._work)

    def _replace(self) -> None:
        self.close()
        self._open()


def _serve(pipe: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Not an argument: what it imports takes seconds, in which nobody would watch the parent.
    work: Callable[[Any], Any] = pipe.recv()
    one_quiet_thread()
    while True:
        pipe.send(attempt(work, pipe.recv()))


def _end_with_parent() -> None:
    # A process whose parent is killed would train on, for nobody.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
