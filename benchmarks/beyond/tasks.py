"""The tasks that a study can name; their arguments are the settings. Linear models and patches are defined here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.data import Digits
from benchmarks.beyond.gradient import Examples, Fitting, GradientLearner
from benchmarks.beyond.linear import DroppedFactors, DroppedLogistic, PenalisedFactors, PenalisedLogistic
from benchmarks.beyond.passages import Passages
from benchmarks.beyond.task import Task, check_file, entropy, split_rows
from benchmarks.beyond.trees import Trees
from benchmarks.study.study import Kinds

__all__ = ["TASKS", "Matrix", "Patches", "Splice", "VisionTransformer"]

_PATCH = 2


class VisionTransformer(nn.Module):
    """One block over the 16 patches of an image, their mean, and a linear layer: from (batch, 1, 8, 8) to the loss."""

    def __init__(self, p: float, channels: int = 32) -> None:
        super().__init__()
        self.dropout = ad.PatchDropout(p, _PATCH)
        self.patches = nn.Conv2d(1, channels, _PATCH, _PATCH)
        self.places = nn.Parameter(0.02 * torch.randn(16, channels))
        self.block = nn.TransformerEncoderLayer(channels, 4, 2 * channels, 0.0, batch_first=True, norm_first=True)
        self.head = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, 10))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of each image, (batch,)."""
        tokens = self.patches(self.dropout(images)).flatten(2).mT + self.places
        return F.cross_entropy(self.head(self.block(tokens).mean(1)), labels, reduction="none")


@dataclass(frozen=True)
class Patches(Task):
    """Scikit-learn's digits, 360 to validate and 359 to test.

    Args:
        train: how many digits are trained on, at most 1078.
        lr: learning rate.
    """

    train: int = 300
    lr: float = 0.003

    def learner(self, folder: Path, seed: int, p: float) -> GradientLearner:
        """Return a transformer with initial weights from torch's seed."""
        data = Digits(n_train=self.train, seed=seed)
        parts = [(part.x, part.y) for part in data.examples()]
        return GradientLearner(VisionTransformer(p), parts, entropy(parts[0][1]), Fitting(every=12, lr=self.lr), seed)


_ROWS, _COLUMNS = 100, 80


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
        return check_file(folder / "tabular" / "splice.tsv.gz")

    def learner(self, folder: Path, seed: int, p: float) -> GradientLearner:
        """Return a model with weights 0, to be trained on some places."""
        parts = split_rows(_read_places(*self.files(folder)), seed, self.train, 500)
        model = self.model(parts[0][0].shape[1], 3, p)
        return GradientLearner(model, parts, entropy(parts[0][1]), Fitting(lr=self.lr), seed)


def _read_places(file: Path) -> Examples:
    cells = np.loadtxt(file, delimiter="\t", skiprows=1, dtype=np.int64)
    bases = torch.from_numpy(cells[:, :-1])
    one_hot = torch.nn.functional.one_hot(bases).flatten(1).float()
    return one_hot, torch.from_numpy(np.unique(cells[:, -1], return_inverse=True)[1].reshape(-1))


@dataclass(frozen=True)
class Matrix(Task):
    """A matrix of rank 5, 100 x 80, of entries with variance 1, and noise; learned by more factors, which are dropped.

    Of 8000 entries 800 validate, and those that neither train nor validate test; all have noise.

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
        parts = split_rows(_draw_entries(self.noise, seed), seed, self.train, 800)
        model = self.model(_ROWS, _COLUMNS, self.factors, p)
        trivial_loss = parts[0][2].var(correction=0).item()
        return GradientLearner(model, parts, trivial_loss, Fitting(batch=200, lr=self.lr), seed)


def _draw_entries(noise: float, seed: int, rank: int = 5) -> Examples:
    draw = torch.Generator().manual_seed(seed)
    left, right = (torch.randn(n, rank, generator=draw) for n in (_ROWS, _COLUMNS))
    values = left @ right.T / rank**0.5 + noise * torch.randn(_ROWS, _COLUMNS, generator=draw)
    row, column = torch.cartesian_prod(torch.arange(_ROWS), torch.arange(_COLUMNS)).T
    return row, column, values.flatten()


def logistic(train: int = 300, lr: float = 0.01) -> Splice:
    """Logistic regression with dropout on the features."""
    return Splice(DroppedLogistic, train, lr)


def logistic_penalty(train: int = 300, lr: float = 0.01) -> Splice:
    """The same with the closed form in place of the noise."""
    return Splice(PenalisedLogistic, train, lr)


def factors(train: int = 2400, noise: float = 0.5, factors: int = 20, lr: float = 0.01) -> Matrix:
    """Matrix factorisation with dropout on the factors."""
    return Matrix(DroppedFactors, train, noise, factors, lr)


def factors_penalty(train: int = 2400, noise: float = 0.5, factors: int = 20, lr: float = 0.01) -> Matrix:
    """The same with the closed form in place of the noise."""
    return Matrix(PenalisedFactors, train, noise, factors, lr)


TASKS: Kinds = {
    "logistic": logistic,
    "logistic-penalty": logistic_penalty,
    "factors": factors,
    "factors-penalty": factors_penalty,
    "trees": Trees,
    "words": Passages,
    "patches": Patches,
}
