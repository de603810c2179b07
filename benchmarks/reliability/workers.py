"""One of two processes of a run is killed, or freezes: the other has to end with a message, within its time limit.

The processes are forked from a server that has imported everything, so that an attempt takes seconds.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.reliability.attempt import Outcome

__all__ = ["LIMIT", "attempt_freezes", "attempt_kills", "free_port", "join_pair", "train", "wait_for"]

LIMIT = 15.0
"""Seconds that a collective waits, as the run itself says."""
GRACE = 25.0
"""Further seconds for a slow machine to raise, tear down and end."""
KILLS, FREEZES = 5, 2
PLACES = (
    "training", "validation", "decision", "carrying out", "snapshot", "restore", "checkpoint", "any time",
    "measurement",
)  # fmt: skip
MOST = {"training": 100, "validation": 50, "decision": 80, "measurement": 50, "restore": 12, "snapshot": 6}
"""How often a run comes to a place, or somewhat fewer times; to all others 25 times."""


def attempt_kills(seed: int, folder: Path) -> Outcome:
    """Kill a process at five places of five runs."""
    return _attempt(seed, folder, signal.SIGKILL, KILLS)


def attempt_freezes(seed: int, folder: Path) -> Outcome:
    """Stop a process, without ending it, at two places of two runs: the other gets no word of it."""
    return _attempt(seed, folder, signal.SIGSTOP, FREEZES)


def _attempt(seed: int, folder: Path, harm: signal.Signals, times: int) -> Outcome:
    found = [_harm(seed * times + number, folder / str(number), harm) for number in range(times)]
    return Outcome(times, tuple(failure for failure in found if failure))


def _harm(number: int, folder: Path, harm: signal.Signals) -> str:
    """Run a pair and harm one of it; return what the other should have done and did not, or ""."""
    draw = random.Random(number)
    # A measurement writes no files, so the one that is stopped in it could not say so.
    places = PLACES if harm == signal.SIGKILL else PLACES[:-1]
    place, victim = places[number % len(places)], draw.randrange(2)
    when = draw.uniform(0.0, 6.0) if place == "any time" else float(draw.randrange(1, MOST.get(place, 25)))
    told = f"{harm.name} of process {victim} in {place} {when:.3g}"
    folder.mkdir()
    pair = _start(folder, victim, place, int(when), harm)
    try:
        if place == "any time":
            wait_for(lambda: (folder / "trains").exists(), 90.0)
            time.sleep(when)
            _send(pair[victim], harm)
            (folder / "harmed").touch()
        if not wait_for(lambda: not pair[victim].is_alive() or (folder / "harmed").exists(), 120.0):
            return f"{told}: it never came there"
        ended = wait_for(lambda: not pair[1 - victim].is_alive(), LIMIT + GRACE)
        if not ended:
            _send(pair[1 - victim], signal.SIGUSR1)  # says where it is
            time.sleep(1.0)
    finally:
        for process in pair:
            process.kill()
            process.join()
    words = (folder / f"rank{1 - victim}.txt").read_text()
    if not ended:
        return f"{told}: the other process hangs: {words[-300:]}"
    if pair[1 - victim].exitcode == 0:
        return "" if "trained" in words else f"{told}: the other process ends as if nothing had happened"
    if "Error" not in words or "Traceback" not in words:
        return f"{told}: the other process ends with code {pair[1 - victim].exitcode} and says {words[-300:]!r}"
    return ""


def _start(folder: Path, victim: int, place: str, count: int, harm: signal.Signals) -> list[BaseProcess]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.reliability.ranks"])
    port = free_port()
    harms = [(place, count, harm) if rank == victim and place != "any time" else None for rank in range(2)]
    pair = [context.Process(target=train, args=(rank, port, folder, harms[rank])) for rank in range(2)]
    for process in pair:
        process.start()
    return list(pair)


def _send(process: BaseProcess, harm: signal.Signals) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, harm)


def train(rank: int, port: int, folder: Path, harm: tuple[str, int, signal.Signals] | None) -> None:
    """Be one of two processes of a run; its words go to a file."""
    from benchmarks.reliability.ranks import run

    join_pair(rank, port, folder)
    run(folder, timedelta(seconds=LIMIT), None if harm is None else partial(_strike, folder, harm))


def join_pair(rank: int, port: int, folder: Path) -> None:
    """Make this process one of two that find each other at ``port``, with its words in a file."""
    words = os.open(folder / f"rank{rank}.txt", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(words, stream)
    faulthandler.register(signal.SIGUSR1)
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank), "NODE_RANK": "0",
        "WORLD_SIZE": "2",
    }  # fmt: skip


def free_port() -> int:
    """Return the number of a port that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def wait_for(done: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is ``done``, and tell whether it was in time."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _strike(folder: Path, harm: tuple[str, int, signal.Signals], place: str, counts: dict[str, int]) -> None:
    """Harm this process where it comes to the place of ``harm`` for the time that it names."""
    counts[place] = counts.get(place, 0) + 1
    if (place, counts[place]) == harm[:2]:
        if harm[2] != signal.SIGKILL:
            (folder / "harmed").touch()
        os.kill(os.getpid(), harm[2])
