"""The results on disk: a CSV file that only grows, a line a measurement, each with where it was taken."""

from __future__ import annotations

import csv
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import torch

__all__ = ["RESULTS", "Row", "append", "here", "read"]

RESULTS = Path(__file__).parent / "results.csv"


@dataclass(frozen=True)
class Row:
    """One contender at one size.

    Args:
        commit: of this repository; a plus means that files differed from it.
        machine: its processor, cores, and load at the start (1 is one busy core).
        versions: of Python, torch and numba.
        threads: of torch.
        allocator: "recycling" if glibc was told to keep large blocks, else "default".
        what: "forward" or "forward+backward".
        elements: of a float32 input.
        contender: a name in `contenders.CONTENDERS`.
        microseconds: median of the rounds.
        ratio: the median of nn.Dropout in the same rounds over this one.
        saved: bytes an element kept for the backward pass, beside input and output.
    """

    commit: str
    machine: str
    versions: str
    threads: int
    allocator: str
    what: str
    elements: int
    contender: str
    microseconds: float
    ratio: float
    saved: float


def here() -> tuple[str, str, str, str]:
    """Return commit, machine, versions and allocator of this process."""
    git = ["git", "-C", str(Path(__file__).parent)]
    commit = subprocess.run([*git, "describe", "--always", "--dirty=+"], capture_output=True, text=True).stdout.strip()
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    machine = f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, numba {version('numba')}"
    return commit, machine, versions, "recycling" if "MALLOC_MMAP_THRESHOLD_" in os.environ else "default"


def append(path: Path, row: Row) -> None:
    """Write ``row`` to the end of the file, which begins with the names of the columns."""
    begins = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        if begins:
            writer.writeheader()
        writer.writerow(asdict(row))


def read(path: Path) -> list[Row]:
    """Return the rows in the order in which they were measured."""
    with path.open(newline="") as file:
        return [_row(values) for values in csv.DictReader(file)]


def _row(values: dict[str, str]) -> Row:
    kinds = {"int": int, "float": float, "str": str}
    return Row(**{field.name: kinds[str(field.type)](values[field.name]) for field in fields(Row)})  # type: ignore[arg-type]


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.exists() else []
