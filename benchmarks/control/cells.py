"""A cell is one training run: a task, a seed and a method; it gives one row of the results."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import lightning
import lightning.pytorch as L
import torch

from adaptive_dropout.rates import get_rates
from adaptive_dropout.tasks import Task
from benchmarks.control.measures import BestWeights, GradientCost, Rewinds
from benchmarks.control.methods import METHODS
from benchmarks.control.results import Row
from benchmarks.control.study_task import VALIDATIONS
from benchmarks.control.tasks import TASKS
from benchmarks.study.provenance import commit
from benchmarks.study.trainer import quiet_trainer

__all__ = ["Cell", "run_cell"]


@dataclass(frozen=True)
class Cell:
    """Names of a task and a method, and the seed of split, initial weights and order."""

    task: str
    seed: int
    method: str

    def __str__(self) -> str:
        return f"{self.task}, seed {self.seed}, {self.method}"


def run_cell(cell: Cell, folder: Path | None = None) -> Row:
    """Train once and test the weights with the lowest validation loss.

    Args:
        cell: what is trained; the same cell gives the same row, but for its seconds.
        folder: the data folder, for a task that needs files.
    """
    task, method = TASKS[cell.task], METHODS[cell.method]
    L.seed_everything(cell.seed, verbose=False)
    data = task.data(folder, cell.seed)
    data.setup("fit")
    model = task.model(data, method.dropout)
    best, cost, rewinds = BestWeights(), GradientCost(), Rewinds()
    with tempfile.TemporaryDirectory() as scratch:  # its decisions are not kept
        trainer = quiet_trainer(
            task.fitting.every,
            VALIDATIONS,
            [best, cost, *method.callbacks(), rewinds],
            accelerator="cpu",
            default_root_dir=scratch,
        )
        began = time.process_time()
        trainer.fit(model, data)
        seconds = time.process_time() - began
    assert best.validations == VALIDATIONS, f"{cell} was validated {best.validations} times"
    rates = get_rates(model)
    tested = _tested(trainer, model, data, best)
    return Row(
        commit=commit(),
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


def _tested(trainer: L.Trainer, model: Task, data: L.LightningDataModule, best: BestWeights) -> dict[str, float]:
    best.restore(model)
    metrics = dict(trainer.test(model, data, verbose=False)[0])
    # A run that never had a finite validation loss has no weights worth testing.
    return metrics if math.isfinite(best.val_loss) else metrics | {"test_loss": math.inf}
