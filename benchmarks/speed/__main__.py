"""Measure, append to the results and write the table: ``python -m benchmarks.speed``, on an idle machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed.measure import ALLOCATORS
from benchmarks.speed.results import RESULTS, Row
from benchmarks.speed.table import lines
from benchmarks.study.place import now
from benchmarks.study.rows import read

__all__ = ["main"]

SIZES = [1 << n for n in (8, 10, 13, 16, 20, 22, 24)]
PLACES = [(threads, allocator) for allocator in ("recycling", "default") for threads in (1, 2)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Start a process for each number of threads and allocator, one after the other."""
    options = _parser().parse_args(arguments)
    started = now()
    given = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-m", "benchmarks.speed.measure", f"--started={started}"]
    command += [f"--seconds={options.seconds}", f"--out={options.out}"]
    command += ["--sizes", *map(str, options.sizes)]
    for threads, allocator in PLACES:
        print(f"threads: {threads}, allocator: {allocator}", file=sys.stderr)
        here = [f"--threads={threads}", f"--allocator={allocator}"]
        subprocess.run([*command, *here], env=given | ALLOCATORS[allocator], check=True)
    options.out.with_name("table.md").write_text("\n".join(lines(read(options.out, Row))) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument(
        "--sizes", nargs="+", type=int, default=SIZES, help="elements of a float32 input, multiples of 256"
    )
    parser.add_argument("--seconds", type=float, default=0.4, help="for each noise, size and kind of pass")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


if __name__ == "__main__":
    main()
