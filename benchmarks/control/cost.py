"""The cost of a method in process time, side by side with a fixed rate: both in turn, in one process, on one thread.

``python -m benchmarks.control.cost [--data-dir DATA]`` prints Markdown. The seconds in ``results.csv`` were taken in a
study that kept a machine busy; these ratios are medians of pairs that ran one right after the other.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import lightning
import torch

from adaptive_dropout.processes import one_quiet_thread
from benchmarks.control.cells import Cell, run_cell
from benchmarks.control.methods import METHODS, Method
from benchmarks.report.markdown import table

__all__ = ["list_lines", "main"]

TASKS = ("digits:200", "digits:1000", "mnist:1000")
REFERENCE = "fixed:0.3"


def list_lines(
    tasks: Sequence[str], methods: Mapping[str, Method], repeats: int, folder: Path | None = None
) -> Iterator[str]:
    """Yield the table line by line, as it is measured."""
    place = f"{platform.machine()}, torch {torch.__version__}, Lightning {lightning.__version__}, one thread"
    yield f"In units of the same run with a fixed rate; medians of pairs of runs: {repeats}. {place}.\n"
    yield from table(("task", "method", "process time", "gradient evaluations"), [])
    # The first pair of a process loads and compiles the code that all pairs need.
    _measure(tasks[0], next(iter(methods)), 1, folder, methods)
    for task in tasks:
        for method in methods:
            time, gradients = _measure(task, method, repeats, folder, methods)
            yield f"| {task} | {method} | {time:.2f} | {gradients:.2f} |"


def main(
    arguments: Sequence[str] | None = None, known: Mapping[str, Method] = METHODS, default: Sequence[str] = ()
) -> None:
    """Measure the chosen methods, by default ``default``, among ``known`` ones, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--methods", nargs="+", default=default or ["rewind:0.3"], choices=known, metavar="METHOD")
    parser.add_argument("--repeats", type=int, default=5, help="1 is for a busy machine")
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args(arguments)
    one_quiet_thread()
    methods = {name: known[name] for name in options.methods}
    for line in list_lines(options.tasks, methods, options.repeats, options.data_dir):
        print(line, flush=True)


def _measure(
    task: str, method: str, repeats: int, folder: Path | None, methods: Mapping[str, Method]
) -> tuple[float, float]:
    """Return the median of process seconds of ``method`` over those of a fixed rate, and the same of gradients."""
    seconds, gradients = [], []
    for seed in range(repeats):
        plain = run_cell(Cell(task, seed, REFERENCE), folder)
        other = run_cell(Cell(task, seed, method), folder, methods)
        seconds.append(other.seconds / plain.seconds)
        gradients.append(other.gradient_examples / plain.gradient_examples)
    return statistics.median(seconds), statistics.median(gradients)


if __name__ == "__main__":
    main()
