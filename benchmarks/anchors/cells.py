"""One training run of an anchor, and its row."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import lightning.pytorch as L
import torch
from torch import nn

import adaptive_dropout
from adaptive_dropout.rates import get_rates
from benchmarks.anchors.anchor import Anchor
from benchmarks.anchors.methods import Method
from benchmarks.study.cells import Cell, CellRow, origin
from benchmarks.study.training import BestWeights, Rewinds, quiet_trainer

__all__ = ["AnchorRow", "run", "train"]


@dataclass(frozen=True)
class AnchorRow(CellRow):
    """The results of a run.

    Args:
        val_loss: the lowest.
        best_at: the number of the validation that had it, from 1 on.
        score: the published measure on the test data, of the weights with the lowest validation loss.
        last_score: the same, of the weights at the end of training; those are the best ones where the callback ran.
        rates: p of each dropout layer at the end, in the order of the network.
        rewinds: the number of rewinds and restarts.
    """

    val_loss: float
    best_at: int
    score: float
    last_score: float
    rates: tuple[float, ...]
    rewinds: int


def run(cell: Cell, task: Anchor, method: Method, folder: Path, accelerator: str) -> AnchorRow:
    """Train once; the same cell gives the same row on the same machine, but for its seconds.

    Args:
        cell: its seed is that of split, weights, order and noise.
        task: the data, the network and the training.
        method: how dropout is used.
        folder: of the data.
        accelerator: "cpu" or "gpu".
    """
    p = task.p if method.p is None else method.p
    return train(cell, task, lambda data: task.model(data, p), method.callbacks(), folder, accelerator)


def train(
    cell: Cell,
    task: Anchor,
    build: Callable[[Any], L.LightningModule],
    used: Sequence[L.Callback],
    folder: Path,
    accelerator: str,
) -> AnchorRow:
    """Train what ``build`` makes of the data with the callbacks ``used``; otherwise as `run`."""
    L.seed_everything(cell.seed, verbose=False)
    data: Any = task.data(folder, cell.seed)
    data.setup("fit")
    model = build(data)
    best, rewinds = _Best(), Rewinds()
    callbacks = [best, *task.callbacks(), *used, rewinds]
    with tempfile.TemporaryDirectory() as scratch:  # decisions of the rule are not kept
        where = {"accelerator": accelerator, "gradient_clip_val": task.clip, "precision": task.precision}
        trainer = quiet_trainer(task.every, task.validations, callbacks, default_root_dir=scratch, **where)
        began = time.process_time()
        trainer.fit(model, data)
        seconds = time.process_time() - began
        rates = _rates(model)
        last = _score(trainer, model, data, task)
        best.restore(model)
        tested = _score(trainer, model, data, task)
    return AnchorRow(
        **origin(cell, adaptive_dropout, torch, lightning),
        seconds=seconds,
        val_loss=best.val_loss,
        best_at=best.at,
        score=tested,
        last_score=last,
        rates=rates,
        rewinds=rewinds.count,
    )


class _Best(BestWeights):
    """Remembers which validation was the best."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        before = self.val_loss
        super().on_validation_end(trainer, pl_module)
        if self.val_loss < before:
            self.at = self.validations


def _rates(model: nn.Module) -> tuple[float, ...]:
    """Return the rates that the callback made adjustable, else those of torch's layers."""
    found = tuple(get_rates(model).values())
    return found or tuple(module.p for module in model.modules() if isinstance(module, nn.Dropout))


def _score(trainer: L.Trainer, model: L.LightningModule, data: Any, task: Anchor) -> float:
    logged = trainer.test(model, data, verbose=False)[0]
    score = task.score(logged, data)
    return score if math.isfinite(score) else math.inf
