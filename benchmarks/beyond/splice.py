"""Logistic regression on DNA: three kinds of places, told apart by the 60 bases around them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.beyond.gradient import Examples, Fitting, GradientLearner
from benchmarks.beyond.linear import DroppedLogistic, PenalisedLogistic
from benchmarks.beyond.task import Task, entropy, rows_of, there

__all__ = ["Splice"]


@dataclass(frozen=True)
class Splice(Task):
    """Exon to intron, intron to exon, or neither: 3190 places, each base one-hot, dropped by feature.

    500 places validate, the rest tests.

    Args:
        model: with noise or with its closed form.
        train: how many places are trained on.
        lr: learning rate.

    Source: Noordewier, Towell and Shavlik (1991), the splice-junction table of UCI.
    """

    model: type[DroppedLogistic] | type[PenalisedLogistic]
    train: int
    lr: float

    def files(self, folder: Path) -> list[Path]:
        """Return the table."""
        return there(folder / "tabular" / "splice.tsv.gz")

    def learner(self, folder: Path, seed: int, p: float) -> GradientLearner:
        """Return a model with weights 0, to be trained on some places."""
        parts = rows_of(_places(*self.files(folder)), seed, self.train, 500)
        model = self.model(parts[0][0].shape[1], 3, p)
        return GradientLearner(model, parts, entropy(parts[0][1]), Fitting(lr=self.lr), seed)


def _places(file: Path) -> Examples:
    cells = np.loadtxt(file, delimiter="\t", skiprows=1, dtype=np.int64)
    bases = torch.from_numpy(cells[:, :-1])
    one_hot = torch.nn.functional.one_hot(bases).flatten(1).float()
    return one_hot, torch.from_numpy(np.unique(cells[:, -1], return_inverse=True)[1].reshape(-1))
