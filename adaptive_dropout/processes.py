"""Work in processes of one thread each, for training runs that do not depend on each other.

A process that dies takes nothing with it: its item is begun again in a new one.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

__all__ = ["ATTEMPTS", "attempt", "one_quiet_thread", "run_in_processes"]

ATTEMPTS = 3
"""How often an item is begun before the death of its process counts as its own fault, such as too little memory."""

C = TypeVar("C")
R = TypeVar("R")
_SPAWN = multiprocessing.get_context("spawn")


def run_in_processes(
    work: Callable[[C], R], items: Sequence[C], jobs: int
) -> Generator[tuple[C, R | Exception], None, None]:
    """Yield each item with what ``work`` returns for it, or with the reason why it failed, as soon as it is known.

    An item whose process dies is begun again in a new process, `ATTEMPTS` times in all. The processes end with this
    one, however it ends, and when the generator is closed. What ``work`` returns does not depend on ``jobs``: each
    process has one thread, whatever their number.

    Args:
        work: a module-level function, or a partial of one.
        items: in the order in which they begin.
        jobs: processes, at least 1.
    """
    waiting = iter(items)
    workers = [_Worker[C, R](work, item) for _, item in zip(range(jobs), waiting, strict=False)]
    try:
        while workers:
            ready = wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                item, answer = worker.item, worker.receive()
                if answer is None:
                    continue
                # The next item begins before the caller handles this one.
                if not worker.begin_next(waiting):
                    workers.remove(worker)
                yield item, answer
    finally:
        for worker in workers:
            worker.close()


def attempt(work: Callable[[C], R], item: C) -> tuple[R, None] | tuple[None, str]:
    """Return ``work(item)`` and None, or None and the first line of what it raised."""
    try:
        return work(item), None
    except Exception as error:  # whatever an item raises, the others go on
        return None, str(error).split("\n")[0] or type(error).__name__


def one_quiet_thread() -> None:
    """Limit torch to one thread, and silence the advice from Lightning that each process would repeat."""
    import torch  # the process that only waits for the others does not need it

    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    # Lightning 2.6 on torch 2.15: it asks isinstance(..., LeafSpec) itself.
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")


class _Worker(Generic[C, R]):
    """A process, and the item that it works on.

    Attributes:
        item: the last one that was begun.
        pipe: this end of a pipe; it can be read when the process has answered or died.
    """

    def __init__(self, work: Callable[[C], R], item: C) -> None:
        self._work = work
        self._open()
        self._begin(item)

    def begin_next(self, items: Iterator[C]) -> bool:
        """Begin the next of ``items``; if there is none, end the process and return False."""
        for item in items:
            self._begin(item)
            return True
        self.close()
        return False

    def receive(self) -> R | Exception | None:
        """Return what the process answered; None if it died and the item was begun again."""
        try:
            given, reason = self.pipe.recv()
        except (EOFError, OSError):
            self._replace()
            if self._attempts == ATTEMPTS:
                return RuntimeError(f"its process died {ATTEMPTS} times")
            self._attempts += 1
            self.pipe.send(self.item)
            return None
        answer: R | Exception = given if reason is None else RuntimeError(reason)
        return answer

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()

    def _begin(self, item: C) -> None:
        self.item, self._attempts = item, 1
        try:
            self.pipe.send(item)
        except OSError:  # the process died between two items
            self._replace()
            self.pipe.send(item)

    def _open(self) -> None:
        self.pipe, other_end = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(other_end,))
        self._process.start()
        other_end.close()  # so that the death of the process ends the pipe
        self.pipe.send(self._work)

    def _replace(self) -> None:
        self.close()
        self._open()


def _serve(pipe: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Not an argument of the process: its imports take seconds, during which nothing would watch the parent.
    work: Callable[[Any], Any] = pipe.recv()
    one_quiet_thread()
    while True:
        pipe.send(attempt(work, pipe.recv()))


def _end_with_parent() -> None:
    # A process whose parent was killed would train on for nobody.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
