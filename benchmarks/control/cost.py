"""What a rule costs in process time, side by side: a task with it and without in turn, in one process, on one thread.

``python -m benchmarks.control.cost [--data-dir DATA]`` prints Markdown. The seconds in ``results.csv`` were taken in a
study that kept a machine busy; these ratios are medians of pairs that ran one right after the other.
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
from pathlib import Path

import lightning
import torch

from benchmarks.control.cells import Cell, run_cell

__all__ = ["ratio"]

TASKS = ("digits:200", "digits:1000", "mnist:1000")


def ratio(task: str, method: str, repeats: int, folder: Path | None) -> tuple[float, float]:
    """Return the median of process seconds of ``method`` over those of a fixed rate, and the same of gradients.

    Args:
        task: a name in `TASKS` of the study.
        method: a name in its ``METHODS``.
        repeats: pairs of runs, each with the next seed.
        folder: the data folder.
    """
    seconds, gradients = [], []
    for seed in range(repeats):
        plain, steered = (run_cell(Cell(task, seed, name), folder) for name in ("fixed:0.3", method))
        seconds.append(steered.seconds / plain.seconds)
        gradients.append(steered.gradient_examples / plain.gradient_examples)
    return statistics.median(seconds), statistics.median(gradients)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control.cost", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--methods", nargs="+", default=["rewind:0.3"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print(f"{platform.machine()}, torch {torch.__version__}, lightning {lightning.__version__}, one thread, medians of")
    print(f"{options.repeats} pairs of runs.\n")
    print("| task | method | process time | gradient cost |\n| --- | --- | --- | --- |")
    for task in options.tasks:
        for method in options.methods:
            time, gradients = ratio(task, method, options.repeats, options.data_dir)
            print(f"| {task} | {method} | {time:.2f} | {gradients:.2f} |", flush=True)


if __name__ == "__main__":
    main()
