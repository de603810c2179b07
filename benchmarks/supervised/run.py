"""`Run`: a training run with its records, and `fit`, the usual way to train it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import lightning.pytorch as L

from adaptive_dropout.signals import RunningLoss
from adaptive_dropout.tasks import Task
from benchmarks.study.training import BestWeights

__all__ = ["Curves", "Run", "fit"]


class Curves(L.Callback):
    """Records the losses at each validation of ``fit``.

    Attributes:
        train_losses: the mean since the previous validation, with dropout on.
        val_losses: with dropout off.
        val_accuracies: in [0, 1].
    """

    def __init__(self) -> None:
        self.train_losses: list[float] = []
        self.val_losses: list[float] = []
        self.val_accuracies: list[float] = []
        self._running = RunningLoss()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the loss of a batch."""
        self._running.add(outputs["loss"])

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add a point to each curve."""
        if trainer.state.fn != "fit":
            return
        train_loss = self._running.mean()
        assert train_loss is not None  # a validation follows at least one batch
        self.train_losses.append(train_loss)
        self.val_losses.append(float(trainer.callback_metrics["val_loss"]))
        self.val_accuracies.append(float(trainer.callback_metrics["val_accuracy"]))
        self._running.reset()


@dataclass(frozen=True)
class Run:
    """A training run that has been set up, or has ended.

    Args:
        model: the task that is trained.
        data: its data module, which has been set up.
        best: keeps the weights with the lowest validation loss.
        curves: records the losses.
        every: optimizer steps from one validation to the next.
        validations: their number.
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


def fit(run: Run, trainer: L.Trainer) -> Run:
    """Train ``run`` from beginning to end with ``trainer``, which holds its ``best`` and ``curves``; return its end."""
    began = time.process_time()
    trainer.fit(run.model, run.data)
    return replace(run, seconds=time.process_time() - began)
