"""Images to learn from: scikit-learn's digits, MNIST from its four original files, CIFAR-10 from a JPEG copy.

MNIST and CIFAR-10 give their first 10 000 training images, in a fixed random order for CIFAR-10, to draw from; a tenth
of them validates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from adaptive_dropout.data import Digits
from adaptive_dropout.data.base import Examples
from adaptive_dropout.data.images import PixelsToInputs, official_split
from adaptive_dropout.data.training_part import TrainingPart
from benchmarks.study.images import read_cifar10, read_mnist
from benchmarks.study.windows import Split

__all__ = ["CropsAndFlips", "cifar10", "digits", "mnist"]

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
