"""Entries of a matrix that was made: a product of two thin ones, and noise. There are no ratings at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.beyond.gradient import Examples, Fitting, GradientLearner
from benchmarks.beyond.linear import DroppedFactors, PenalisedFactors
from benchmarks.beyond.task import Task, rows_of

__all__ = ["Matrix"]

_ROWS, _COLUMNS = 100, 80


@dataclass(frozen=True)
class Matrix(Task):
    """A matrix of rank 5, 100 x 80, of entries with variance 1, and noise; learned by more factors, which are dropped.

    Of 8000 entries 800 validate, and what is not trained on tests, all with noise.

    Args:
        model: with noise or with its closed form.
        train: how many entries are trained on.
        noise: standard deviation; its square is the least loss there is.
        factors: how many are learned.
        lr: learning rate.
    """

    model: type[DroppedFactors] | type[PenalisedFactors]
    train: int
    noise: float
    factors: int
    lr: float

    def learner(self, folder: Path, seed: int, p: float) -> GradientLearner:
        """Return two small random matrices, to be trained on some entries."""
        parts = rows_of(_entries(self.noise, seed), seed, self.train, 800)
        model = self.model(_ROWS, _COLUMNS, self.factors, p)
        trivial_loss = parts[0][2].var(correction=0).item()
        return GradientLearner(model, parts, trivial_loss, Fitting(batch=200, lr=self.lr), seed)


def _entries(noise: float, seed: int, rank: int = 5) -> Examples:
    draw = torch.Generator().manual_seed(seed)
    left, right = (torch.randn(n, rank, generator=draw) for n in (_ROWS, _COLUMNS))
    values = left @ right.T / rank**0.5 + noise * torch.randn(_ROWS, _COLUMNS, generator=draw)
    row, column = torch.cartesian_prod(torch.arange(_ROWS), torch.arange(_COLUMNS)).T
    return row, column, values.flatten()
