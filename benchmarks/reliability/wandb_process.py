"""W&B's own process, which a run logs to: found among the children of this process, and killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import wandb

__all__ = ["kill_wandb", "offline_wandb"]

NAME = "wandb-core"


@contextmanager
def offline_wandb() -> Iterator[None]:
    """Log offline, to a process that only the block has: W&B keeps one for all runs, and goes on with it when dead."""
    _forget()
    with patch.dict(os.environ, {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}):
        try:
            yield
        finally:
            _forget()


def kill_wandb() -> None:
    """Kill W&B's process, a child of this one, with SIGKILL, and return when it is dead.

    Raises:
        ProcessLookupError: there is not exactly one.
    """
    found = [child for child in _children() if _program(child) == NAME]
    if len(found) != 1:
        raise ProcessLookupError(f"{len(found)} children run {NAME}; one has to")
    os.kill(found[0], signal.SIGKILL)
    os.waitid(os.P_PID, found[0], os.WEXITED | os.WNOWAIT)


def _forget() -> None:
    with suppress(ConnectionError):  # the process that it says good-bye to is dead
        wandb.teardown()
    wandb.run = None  # else Lightning's logger would go on with it


def _children() -> Iterator[int]:
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # the thread has ended meanwhile
            yield from map(int, (thread / "children").read_text().split())


def _program(process: int) -> str:
    with suppress(OSError):  # it has ended; as long as nobody asked how, it stays a child
        return Path(f"/proc/{process}/exe").readlink().name
    return ""
