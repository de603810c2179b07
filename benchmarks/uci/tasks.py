"""The tasks: the published network on one of the seven UCI regression sets, in the authors' own splits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from adaptive_dropout.checks import check_count
from adaptive_dropout.data.base import Examples
from adaptive_dropout.data.splits import check_fraction, split_off
from benchmarks.study.data import read_uci, standardise
from benchmarks.study.study import Kinds
from benchmarks.study.windows import Windows
from benchmarks.uci.regressor import LeastSquares

__all__ = ["TASKS", "UciSplit", "UciTask", "read_split"]


@dataclass(frozen=True)
class UciSplit:
    """One split: inputs (n, features) and targets (n,), of mean 0 and variance 1 over the training rows.

    Args:
        train: what the weights are fitted to.
        val: part of the authors' training rows, which the rates, the weights and the noise are chosen by.
        test: the authors' test rows.
        unit: the standard deviation of the target over the training rows, in the units of the file.
    """

    train: Examples
    val: Examples
    test: Examples
    unit: float


def read_split(file: Path, number: int, val_fraction: float) -> UciSplit:
    """Return split ``number`` of ``file``.

    Args:
        file: a ``.npz`` file with ``data``, ``index_features``, ``index_target``, ``n_splits``, ``index_train_k`` and
            ``index_test_k``.
        number: k, from 0 on; it also seeds which training rows validate.
        val_fraction: the part of the authors' training rows that validates, in (0, 1).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such split, or an array is missing.

    Source: the splits of Hernandez-Lobato and Adams (2015), as Gal and Ghahramani (2016) use them.
    """
    x, y, rest, test = read_uci(file, number)
    kept, held_out = split_off(y[rest], val_fraction, number)
    train, val = rest[kept], rest[held_out]
    inputs, _ = standardise(x, train)
    targets, unit = standardise(y, train)
    fitted, chosen_by, tested = (Examples(inputs[part], targets[part]) for part in (train, val, test))
    return UciSplit(fitted, chosen_by, tested, float(unit))


BATCH = 128
LIGHTNING_STEPS = 2  # between two validations; each is many of the optimizer's, see `LeastSquares`


@dataclass(frozen=True)
class UciTask:
    """One hidden layer of ReLU units with dropout before and after it, trained by Adam on batches of 128.

    Args:
        file: where under the data folder the set lies.
        hidden: units, at least 1.
        steps: optimizer steps, a multiple of twice the ``validations``.
        validations: how often a run validates; the adaptive rule wants 40 or more.
        lr: Adam's learning rate, which falls to 0 along half a cosine.
        val_fraction: the part of the authors' training rows that validates, in (0, 1).
        samples: of the prediction, of which the mean is tested.
    """

    file: str
    hidden: int = 50
    steps: int = 10_000
    validations: int = 50
    lr: float = 0.01
    val_fraction: float = 0.2
    samples: int = 1000

    def __post_init__(self) -> None:
        for name in ("hidden", "steps", "validations", "samples"):
            check_count(getattr(self, name), name)
        check_fraction(self.val_fraction, "val_fraction")
        if self.steps % (LIGHTNING_STEPS * self.validations):
            multiple = LIGHTNING_STEPS * self.validations
            raise ValueError(f"steps has to be a multiple of {multiple}, twice the validations, but got {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr has to be above 0, but got {self.lr}")

    def files(self, folder: Path) -> list[Path]:
        """Return the file of the set; raise FileNotFoundError if it is missing."""
        if not (folder / self.file).is_file():
            raise FileNotFoundError(f"no file {str(folder / self.file)!r}; --data-dir has to hold {self.file}")
        return [folder / self.file]

    def split(self, folder: Path, number: int) -> UciSplit:
        """Return split ``number``."""
        return read_split(folder / self.file, number, self.val_fraction)

    def data(self, split: UciSplit, seed: int) -> Windows:
        """Return ``split`` in windows between validations, which hold the batches of many optimizer steps each."""
        size = BATCH * self.steps // (LIGHTNING_STEPS * self.validations)
        return Windows(lambda: (split.train, split.val, split.test), size, LIGHTNING_STEPS, seed)

    def model(self, split: UciSplit, network: Callable[[int, int], nn.Module]) -> LeastSquares:
        """Return what Lightning trains, with initial weights from torch's seed; ``network`` is as in `Method`."""
        optimizer = functools.partial(torch.optim.Adam, lr=self.lr, fused=True)
        scheduler = functools.partial(CosineAnnealingLR, T_max=self.validations)
        return LeastSquares(network(split.train.x.shape[1], self.hidden), BATCH, optimizer, scheduler)


TASKS: Kinds = {
    name: functools.partial(UciTask, f"uci/{file}.npz")
    for name, file in {
        "boston": "bostonHousing",
        "energy": "energy",
        "naval": "naval-propulsion-plant",
        "power": "power-plant",
        "protein": "protein-tertiary-structure",
        "wine": "wine-quality-red",
        "yacht": "yacht",
    }.items()
}
"""Every set by its name."""
