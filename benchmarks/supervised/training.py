"""One training run, and its row."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import lightning.pytorch as L
import torch
from torch.utils.data import DataLoader, Subset

import adaptive_dropout
from adaptive_dropout.rates import get_rates
from adaptive_dropout.tasks import Task
from benchmarks.study.cells import Cell, CellRow, origin
from benchmarks.study.training import BestWeights, quiet_trainer
from benchmarks.supervised.method import Curves, Method, Run
from benchmarks.supervised.task import SupervisedTask

__all__ = ["TrainedRow", "train"]


@dataclass(frozen=True)
class TrainedRow(CellRow):
    """The results of a run. The weights with the lowest validation loss are tested; losses are in nats per example.

    Args:
        n_train: the number of training examples.
        val_loss: the lowest.
        test_loss: of the weights that had it.
        test_accuracy: theirs, in [0, 1].
        test_calibration: their expected calibration error over 15 bins, in [0, 1]; NaN if a task has none.
        gap: their ``val_loss`` minus the loss, with dropout off, of as many training examples.
        final_rate: the mean p of the layers at the last step.
        epochs_apart: from one validation to the next.
        train_losses: since the previous validation, with dropout on.
        val_losses: at each validation.
        val_accuracies: at each validation.
    """

    n_train: int
    val_loss: float
    test_loss: float
    test_accuracy: float
    test_calibration: float
    gap: float
    final_rate: float
    epochs_apart: float
    train_losses: tuple[float, ...]
    val_losses: tuple[float, ...]
    val_accuracies: tuple[float, ...]


def train(cell: Cell, task: SupervisedTask, method: Method, folder: Path, accelerator: str) -> TrainedRow:
    """Train once; the same cell gives the same row on the same machine, but for its seconds.

    Args:
        cell: names the run, and has its seed.
        task: the data and the network.
        method: how it is regularised.
        folder: of the data.
        accelerator: "cpu" or "gpu".
    """
    L.seed_everything(cell.seed, verbose=False)
    data: Any = task.data(folder, cell.seed)
    data.setup("fit")
    network = method.change(task.network(data, method.dropout))
    model = task.learner(network, data, method.train_loss)
    every = _every(task, len(data.train_set))
    run = Run(model, data, BestWeights(), Curves(), every, task.validations, accelerator)
    with tempfile.TemporaryDirectory() as scratch:  # decisions of rules are not kept
        callbacks = [run.best, run.curves, *method.callbacks()]
        where = {"accelerator": accelerator, "precision": task.precision, "default_root_dir": scratch}
        trainer = quiet_trainer(every, task.validations, callbacks, **where)
        run = method.fit(run, trainer)
    rates, lowest = get_rates(model), run.best.val_loss  # the validations below are not part of the run
    run.best.restore(model)
    return TrainedRow(
        **origin(cell, adaptive_dropout, torch, lightning),
        **_test(trainer, model, data),
        seconds=run.seconds,
        n_train=len(data.train_set),
        val_loss=lowest,
        final_rate=sum(rates.values()) / len(rates),
        epochs_apart=every * task.batch_size / len(data.train_set),
        train_losses=tuple(run.curves.train_losses),
        val_losses=tuple(run.curves.val_losses),
        val_accuracies=tuple(run.curves.val_accuracies),
    )


def _every(task: SupervisedTask, n: int) -> int:
    """Return the steps between validations, rounded so that the last one is at the end."""
    return max(1, round(task.epochs * n / task.batch_size / task.validations))


def _test(trainer: L.Trainer, model: Task, data: Any) -> dict[str, Any]:
    test = trainer.test(model, data, verbose=False)[0]
    like = data.val_dataloader()
    n = min(len(data.val_set), len(data.train_set))
    seen = DataLoader(Subset(data.train_set, range(n)), like.batch_size, collate_fn=like.collate_fn)
    train, val = (trainer.validate(model, loader, verbose=False)[0]["val_loss"] for loader in (seen, like))
    return {
        "test_loss": test["test_loss"],
        "test_accuracy": test["test_accuracy"],
        "test_calibration": test.get("test_calibration_error", math.nan),
        "gap": val - train,
    }
