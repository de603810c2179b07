"""The results on disk: a CSV file that only grows, a line a measurement, each with where it was taken."""

from __future__ import annotations

import csv
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

__all__ = ["RESULTS", "Place", "Row", "append", "here", "read"]

RESULTS = Path(__file__).with_name("results.csv")


@dataclass(frozen=True)
class Place:
    """Where and when a process measured.

    Args:
        started: when the run that it belongs to began, UTC.
        commit: of this repository; a plus means that files differed from it.
        machine: its processor, cores, and load at the start (1 is one busy core); or the GPU.
        versions: of Python, torch and what the kernels are compiled with.
        device: "cpu" or "cuda".
        threads: of torch on the CPU.
        allocator: "default" or "recycling", if glibc was told to keep what is freed; on a GPU torch's own, "caching".
    """

    started: str
    commit: str
    machine: str
    versions: str
    device: str
    threads: int
    allocator: str


@dataclass(frozen=True)
class Row(Place):
    """One contender at one size.

    Args:
        noise: a name in `contenders.NOISES`.
        what: a name in `timing.PASSES`.
        elements: of a float32 input.
        contender: a name in its noise's contenders, or "copy".
        rounds: how often it was timed.
        microseconds: the median of the rounds; NaN for what could not run.
        spread: half the distance between the quartiles, as a part of the median.
        saved: bytes an element kept for the backward pass, beside input and output.
        note: why it could not run.
    """

    noise: str
    what: str
    elements: int
    contender: str
    rounds: int
    microseconds: float
    spread: float
    saved: float
    note: str


def here(started: str, device: str, allocator: str) -> Place:
    """Return the place that this process is."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown"
    machine = f"{_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    if device == "cuda":
        machine = f"{torch.cuda.get_device_name()}; {machine}"
    compiler = "triton" if device == "cuda" else "numba"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, {compiler} {_version(compiler)}"
    return Place(started, commit, machine, versions, device, torch.get_num_threads(), allocator)


def append(path: Path, rows: Sequence[Row]) -> None:
    """Write ``rows`` to the end of the file, which begins with the names of the columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begins = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        if begins:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read(path: Path) -> list[Row]:
    """Return the rows in the order in which they were measured."""
    with path.open(newline="") as file:
        return [_row(values) for values in csv.DictReader(file)]


def _row(values: dict[str, str]) -> Row:
    kinds = {"int": int, "float": float, "str": str}
    return Row(**{field.name: kinds[str(field.type)](values[field.name]) for field in fields(Row)})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
