"""Where and when something was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.study.cells import find_commit

__all__ = ["Place", "here", "now"]


@dataclass(frozen=True)
class Place:
    """The place and the time of a measurement.

    Args:
        started: the beginning of the run to which it belongs, UTC.
        commit: of this repository; a plus means that files differed from it.
        machine: its processor, cores, and load at the start (1 is one busy core); or the GPU.
        versions: of Python, torch and the compiler of the kernels.
        device: "cpu" or "cuda".
        threads: of torch on the CPU.
        allocator: "recycling" if glibc was told to keep freed memory, else "default"; "caching", torch's own, on a GPU.
    """

    started: str
    commit: str
    machine: str
    versions: str
    device: str
    threads: int
    allocator: str


def now() -> str:
    """Return the time, UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def here(started: str | None = None, device: str = "cpu", allocator: str = "default") -> Place:
    """Return the place of this process; ``started`` is now by default."""
    machine = f"{_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    if device == "cuda":
        machine = f"{torch.cuda.get_device_name()}, driver {_driver()}; {machine}"
    compiler = "triton" if device == "cuda" else "numba"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, {compiler} {_version(compiler)}"
    return Place(started or now(), find_commit(), machine, versions, device, torch.get_num_threads(), allocator)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
