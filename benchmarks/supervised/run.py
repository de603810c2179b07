"""`Run`: a training run with what is written down of it, and how a run is usually trained."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import lightning.pytorch as L

from adaptive_dropout.tasks import Task
from benchmarks.control.measures import BestWeights
from benchmarks.supervised.curves import Curves

__all__ = ["Run", "fitted"]


@dataclass(frozen=True)
class Run:
    """A training run that has been set up, or has ended.

    Args:
        model: what is trained.
        data: set up to train it.
        best: keeps the weights with the lowest validation loss.
        curves: keeps the losses.
        every: optimizer steps from one validation to the next.
        validations: how many there are.
        accelerator: "cpu" or "gpu".
        seconds: process time of the training.
    """

    model: Task
    data: Any
    best: BestWeights
    curves: Curves
    every: int
    validations: int
    accelerator: str
    seconds: float = 0.0


def fitted(run: Run, trainer: L.Trainer) -> Run:
    """Return ``run`` after ``trainer``, which holds its ``best`` and ``curves``, has trained it from begin to end."""
    began = time.process_time()
    trainer.fit(run.model, run.data)
    return replace(run, seconds=time.process_time() - began)
