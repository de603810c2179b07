"""The data: images, tables, and the UCI sets in their standard splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes
from torch import Tensor

from adaptive_dropout.data import Digits
from adaptive_dropout.data.base import Examples
from adaptive_dropout.data.images import PixelsToInputs, official_split
from adaptive_dropout.data.splits import split_off, three_way
from adaptive_dropout.data.training_part import TrainingPart
from benchmarks.study.data import read_cifar10, read_mnist, read_uci, standardise
from benchmarks.study.windows import Split

__all__ = ["CropsAndFlips", "breast_cancer", "cifar10", "diabetes", "digits", "mnist", "tabular", "uci"]

_POOL, _TEST = 10_000, 5_000


def digits(n: int, noise: float, seed: int) -> Split:
    """Return ``n`` training digits of 8x8 pixels, a share ``noise`` of them with a wrong label."""
    return Digits(n_train=n, label_noise=noise, seed=seed).examples()


def mnist(n: int, noise: float, folder: Path, seed: int) -> Split:
    """Return ``n`` training digits of 28x28 pixels, a share ``noise`` with a wrong label: LeCun et al. (1998)."""
    return official_split(*read_mnist(folder, _POOL, _TEST), 0.1, TrainingPart(n, noise, seed))


def cifar10(n: int, folder: Path, seed: int) -> Split:
    """Return ``n`` training photographs of 32x32 pixels, cropped and flipped anew each time: Krizhevsky (2009)."""
    train, val, test = official_split(*read_cifar10(folder, _POOL, _TEST), 0.1, TrainingPart(n, 0.0, seed))
    assert isinstance(val.prepare, PixelsToInputs)
    return Examples(train.x, train.y, CropsAndFlips(val.prepare)), val, test


@dataclass(frozen=True)
class CropsAndFlips:
    """Move every image of a batch by up to 4 pixels both ways, mirror half of them, then ``prepare`` the batch.

    What moves in from outside is 0. A whole batch is done at once; torchvision's transforms take an image at a time.
    """

    prepare: PixelsToInputs
    pixels: int = 4

    def __call__(self, images: Tensor) -> Tensor:
        """Return inputs for the bytes ``images``, both (batch, channels, size, size), by the global generator."""
        n, size = len(images), images.shape[-1]
        padded = torch.nn.functional.pad(images, [self.pixels] * 4)
        shift = torch.randint(0, 2 * self.pixels + 1, (2, n, 1))
        rows, columns = (torch.arange(size) + by for by in shift)
        columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns)
        # Advanced indices around a slice put the channels last.
        cropped = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        return self.prepare(cropped.permute(0, 3, 1, 2))


Parts = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
_MOST = (2000, 1000, 5000)


def diabetes(seed: int) -> Split:
    """Return 442 patients, 10 measurements, and how far the disease went: Efron et al. (2004)."""
    x, y = load_diabetes(return_X_y=True)
    return _examples(x, y, three_way(y, 0.2, 0.2, seed))


def breast_cancer(seed: int) -> Split:
    """Return 569 tumours, 30 measurements, malignant or benign: Street et al. (1993)."""
    x, y = load_breast_cancer(return_X_y=True)
    return _examples(x, y.astype(np.int64), three_way(y, 0.2, 0.2, seed))


def uci(file: Path, seed: int) -> Split:
    """Return a regression set in its standard split number ``seed``, counted round; a fifth of the rest validates.

    Source: the splits of Hernandez-Lobato and Adams (2015), as Gal and Ghahramani (2016) use them.
    """
    with np.load(file) as arrays:
        number = seed % int(arrays["n_splits"])
    x, y, rest, test = read_uci(file, number)
    train, val = split_off(y[rest], 0.2, seed)
    return _examples(x, y, (rest[train], rest[val], test))


def tabular(file: Path, seed: int) -> Split:
    """Return a table of numbers whose last column is the class, split by seed; a fifth validates and a fifth tests."""
    cells = np.loadtxt(file, delimiter="\t", skiprows=1)
    y = np.unique(cells[:, -1], return_inverse=True)[1].astype(np.int64)
    return _examples(cells[:, :-1], y, three_way(y, 0.2, 0.2, seed))


def _examples(x: NDArray[Any], y: NDArray[Any], parts: Parts) -> Split:
    train, val, test = (part[:most] for part, most in zip(parts, _MOST, strict=True))
    inputs = standardise(x, train)[0]
    targets = torch.from_numpy(y) if y.dtype == np.int64 else standardise(y, train)[0]
    return (
        Examples(inputs[train], targets[train]),
        Examples(inputs[val], targets[val]),
        Examples(inputs[test], targets[test]),
    )
