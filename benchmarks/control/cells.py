"""A cell is one training run: the names of a task and a method, and a seed. It gives one row of the results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import lightning
import lightning.pytorch as L
import torch

from adaptive_dropout.rates import get_rates
from adaptive_dropout.tasks import Task
from benchmarks.control.methods import METHODS, Method
from benchmarks.control.study_task import VALIDATIONS
from benchmarks.control.tasks import TASKS
from benchmarks.study.cells import find_commit
from benchmarks.study.training import BestWeights, GradientCost, Rewinds, fit

__all__ = ["Cell", "Row", "run_cell"]


@dataclass(frozen=True)
class Cell:
    """Names of a task and a method, and the seed of split, initial weights and order. It is its own key."""

    task: str
    seed: int
    method: str

    @property
    def key(self) -> Cell:
        """Return this cell: names never change, so results are found by them."""
        return self

    def __str__(self) -> str:
        return f"{self.task}, seed {self.seed}, {self.method}"


@dataclass(frozen=True)
class Row:
    """One training run.

    Args:
        commit: of this repository; a plus means that files differed from it.
        torch: its version.
        lightning: its version.
        task: a name in `tasks.TASKS`.
        seed: of split, initial weights and order.
        method: a name in `methods.METHODS`.
        start: the p that training began with.
        val_loss: the lowest validation loss, nats per example.
        test_loss: of the weights that had it.
        test_accuracy: in [0, 1]; None for a number to predict.
        test_rmse: in standard deviations of the training targets; None for classes.
        final_rate: the mean p of the layers at the last step.
        gradient_examples: examples through forward and backward, one through forward alone counted 1/3.
        seconds: process time of the training.
        rewinds: the number of rewinds and restarts.
    """

    commit: str
    torch: str
    lightning: str
    task: str
    seed: int
    method: str
    start: float
    val_loss: float
    test_loss: float
    test_accuracy: float | None
    test_rmse: float | None
    final_rate: float
    gradient_examples: float
    seconds: float
    rewinds: int

    @property
    def key(self) -> Cell:
        """Return the cell that gave this row."""
        return Cell(self.task, self.seed, self.method)


def run_cell(cell: Cell, folder: Path | None = None, methods: Mapping[str, Method] = METHODS) -> Row:
    """Train once and test the weights with the lowest validation loss.

    Args:
        cell: the run; the same cell gives the same row, but for its seconds.
        folder: the data folder, for a task that needs files.
        methods: by name.
    """
    task, method = TASKS[cell.task], methods[cell.method]
    L.seed_everything(cell.seed, verbose=False)
    data = task.data(folder, cell.seed)
    data.setup("fit")
    model = task.model(data, method.dropout)
    best, cost, rewinds = BestWeights(), GradientCost(), Rewinds()
    callbacks = [best, cost, *method.callbacks(), rewinds]
    trainer, seconds = fit(model, data, task.fitting.every, VALIDATIONS, callbacks)
    assert best.validations == VALIDATIONS, f"{cell} was validated {best.validations} times"
    rates = get_rates(model)
    tested = _test(trainer, model, data, best)
    return Row(
        commit=find_commit(),
        torch=torch.__version__,
        lightning=lightning.__version__,
        task=cell.task,
        seed=cell.seed,
        method=cell.method,
        start=method.start,
        val_loss=best.val_loss,
        test_loss=tested["test_loss"],
        test_accuracy=tested.get("test_accuracy"),
        test_rmse=tested.get("test_rmse"),
        final_rate=sum(rates.values()) / len(rates),
        gradient_examples=cost.examples,
        seconds=seconds,
        rewinds=rewinds.count,
    )


def _test(trainer: L.Trainer, model: Task, data: L.LightningDataModule, best: BestWeights) -> dict[str, float]:
    best.restore(model)
    metrics = dict(trainer.test(model, data, verbose=False)[0])
    # A run that never had a finite validation loss has no weights worth testing.
    return metrics if math.isfinite(best.val_loss) else metrics | {"test_loss": math.inf}
