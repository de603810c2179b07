"""Where a row comes from: the commit, the versions and the machine that a cell ran on."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.study.cells import Cell

__all__ = ["commit", "machine", "origin"]


@functools.cache
def commit() -> str:
    """Return the short name of the checked-out commit, with a plus where files differ from it."""
    place = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@functools.cache
def machine() -> str:
    """Return the architecture and how many cores there are: enough to read seconds by, and no name of a host."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def origin(cell: Cell, *used: ModuleType) -> dict[str, Any]:
    """Return what every row says of its cell and of where it ran, but for the seconds; the versions are of ``used``."""
    return {
        "key": cell.key,
        "study": cell.study,
        "task": cell.task.name,
        "method": cell.method.name,
        "seed": cell.seed,
        "task_settings": cell.task.content,
        "method_settings": cell.method.content,
        "data": cell.data,
        "commit": commit(),
        "versions": ", ".join(f"{module.__name__} {module.__version__}" for module in used),
        "machine": machine(),
    }
