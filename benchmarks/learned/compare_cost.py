"""What a learned rate costs in process time: a task with it and with a fixed rate in turn, in one process and thread.

``python -m benchmarks.learned.compare_cost > benchmarks/learned/compare_cost.md`` on digits that ship with
scikit-learn; ``--repeats 1`` is for a busy machine.
"""

from __future__ import annotations

import argparse
import logging
import platform
from collections.abc import Iterator, Sequence

import lightning
import torch

from benchmarks.control.cost import ratio
from benchmarks.control.methods import METHODS
from benchmarks.learned.compare_methods import LEARNED

__all__ = ["lines", "main"]


def lines(tasks: Sequence[str], repeats: int) -> Iterator[str]:
    """Yield the table line by line, as it is measured."""
    METHODS.update(LEARNED)  # where the study looks a method up; this process measures nothing else
    yield "# What a learned rate costs\n"
    place = f"{platform.machine()}, torch {torch.__version__}, Lightning {lightning.__version__}, one thread"
    yield f"In units of the same run with a fixed rate; medians of pairs of runs: {repeats}. {place}.\n"
    yield "| task | method | process time | gradient evaluations |\n| --- | --- | --- | --- |"
    ratio(tasks[0], next(iter(LEARNED)), 1, None)  # the first pair of a process loads and compiles what all need
    for task in tasks:
        for method in LEARNED:
            time, gradients = ratio(task, method, repeats, None)
            yield f"| {task} | {method} | {time:.2f} | {gradients:.2f} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned.compare_cost", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=["digits:200"])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for line in lines(options.tasks, options.repeats):
        print(line, flush=True)


if __name__ == "__main__":
    main()
