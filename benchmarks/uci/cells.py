"""One training run on one split, and its row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import lightning.pytorch as L
import torch
from torch import Tensor

import adaptive_dropout
from adaptive_dropout.inference import fit_noise_precision, gaussian_log_likelihood, mc_samples
from adaptive_dropout.rates import SettableRate, get_rates, set_rates
from benchmarks.study.cells import Cell, CellRow, origin
from benchmarks.study.training import BestWeights, Rewinds, fit
from benchmarks.uci.tasks import LIGHTNING_STEPS, UciSplit, UciTask

__all__ = ["UciRow", "run"]


@dataclass(frozen=True)
class UciRow(CellRow):
    """The results of a run, in the units of the file.

    The weights with the lowest validation loss are tested, at the rates with which they were validated.

    Args:
        n_train: the number of training rows.
        val_rmse: the lowest of the run, with dropout off.
        test_rmse: of the mean of samples with dropout on: `test_MC_rmse` of the published files.
        test_rmse_off: of one pass with dropout off.
        test_ll: log-likelihood in nats per row, with the noise that is fitted to validation predictions.
        noise: the standard deviation of that noise.
        input_rate: p before the hidden layer.
        hidden_rate: p after it.
        rewinds: the number of rewinds and restarts.
    """

    n_train: int
    val_rmse: float
    test_rmse: float
    test_rmse_off: float
    test_ll: float
    noise: float
    input_rate: float
    hidden_rate: float
    rewinds: int


def run(cell: Cell, task: UciTask, method: Any, folder: Path, accelerator: str) -> UciRow:
    """Train once; the same cell gives the same row on the same machine, but for its seconds.

    Args:
        cell: its seed is the number of the split, and seeds weights, order and noise.
        task: the set and the training.
        method: a `Method` of this benchmark.
        folder: of the data.
        accelerator: "cpu" or "gpu".
    """
    split = task.split(folder, cell.seed)
    L.seed_everything(cell.seed, verbose=False)
    model = task.model(split, method.network)
    best, rewinds = _Best(), Rewinds()
    callbacks = [best, *method.callbacks(), rewinds]
    _, seconds = fit(model, task.data(split, cell.seed), LIGHTNING_STEPS, task.validations, callbacks, accelerator)
    best.restore(model)
    rates = list(get_rates(model).values())
    return UciRow(
        **origin(cell, adaptive_dropout, torch, lightning),
        **_score(model.network, split, task.samples),
        seconds=seconds,
        n_train=len(split.train),
        val_rmse=math.sqrt(2 * best.val_loss) * split.unit,
        input_rate=rates[0],
        hidden_rate=rates[1],
        rewinds=rewinds.count,
    )


class _Best(BestWeights):
    """Keeps the settable rates with the weights; it comes before the callbacks that move them."""

    def __init__(self) -> None:
        super().__init__()
        self._rates: dict[str, float] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        before = self.val_loss
        super().on_validation_end(trainer, pl_module)
        if self.val_loss < before:
            self._rates = get_rates(pl_module, SettableRate)

    def restore(self, pl_module: L.LightningModule) -> None:
        super().restore(pl_module)
        set_rates(pl_module, self._rates)


def _score(network: torch.nn.Module, split: UciSplit, samples: int) -> Mapping[str, Any]:
    drawn = [mc_samples(network, part.x, samples).squeeze(2) for part in (split.val, split.test)]
    precision = fit_noise_precision(drawn[0], split.val.y)
    network.eval()
    with torch.no_grad():
        off = network(split.test.x).T
    return {
        "test_rmse": _rmse(drawn[1], split.test.y) * split.unit,
        "test_rmse_off": _rmse(off, split.test.y) * split.unit,
        "test_ll": float(gaussian_log_likelihood(drawn[1], split.test.y, precision).mean()) - math.log(split.unit),
        "noise": split.unit / math.sqrt(precision),
    }


def _rmse(samples: Tensor, y: Tensor) -> float:
    return float((samples.mean(0) - y).square().mean().sqrt())
