"""The methods that are compared, and one training run: none, a fixed rate, and a rate that validation steers."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import adaptive_dropout as ad
from adaptive_dropout.checks import check_p
from benchmarks.beyond.steering import steer
from benchmarks.beyond.table import Row, write_page
from benchmarks.beyond.task import Task
from benchmarks.beyond.tasks import TASKS
from benchmarks.study.cells import Cell, origin
from benchmarks.study.command import Experiment
from benchmarks.study.study import Kinds

__all__ = ["BEYOND", "METHODS", "Method", "run"]


@dataclass(frozen=True)
class Method:
    """A first rate, and the controller that moves it.

    Args:
        start: the first p, in [0, 1].
        controller: decides at each validation.
    """

    start: float
    controller: ad.Controller


def none() -> Method:
    """Leave dropout off."""
    return fixed(0.0)


def fixed(p: float = 0.5) -> Method:
    """Keep the rate at ``p``, in [0, 1]."""
    return Method(check_p(p), ad.FixedController())


def steered(start: float = 0.3) -> Method:
    """Let the default controller move the rate from ``start``, in [0, 1]."""
    return Method(check_p(start, "start"), ad.RewindController())


METHODS: Kinds = {"none": none, "fixed": fixed, "steered": steered}


def run(cell: Cell, task: Task, method: Method, folder: Path, accelerator: str) -> Row:
    """Train once and test; all of it runs on the CPU, because the models are too small for anything else."""
    torch.manual_seed(cell.seed)
    learner = task.learner(folder, cell.seed, method.start)
    began = time.process_time()
    found = steer(learner, method.controller)
    return Row(
        **origin(cell, ad, torch, np),
        seconds=time.process_time() - began,
        trivial_loss=learner.trivial_loss,
        **asdict(found),
    )


BEYOND = Experiment(Path(__file__).parent, TASKS, METHODS, Row, run, write_page)
"""The question and its studies."""
