"""Tasks on images: MNIST and CIFAR-10 in memory, split by seed, and photographs in folders, read when needed.

There is no augmentation: it would regularise beside dropout.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from adaptive_dropout.checks import check_count
from adaptive_dropout.data import ImageFolder, TensorDataModule
from adaptive_dropout.data.base import Examples
from adaptive_dropout.data.images import LabelledImages, official_split
from adaptive_dropout.data.training_part import TrainingPart
from adaptive_dropout.networks import CNN, MLP, DropoutFactory
from benchmarks.study.data import CIFAR10_FILES, MNIST_FILES, read_cifar10, read_mnist
from benchmarks.study.study import Kinds
from benchmarks.supervised.task import SupervisedTask

__all__ = ["CIFAR10", "IMAGE_TASKS", "MNIST", "FolderTask", "ImageTask", "Source"]


@dataclass(frozen=True)
class Source:
    """An image set with an official test part.

    Args:
        what: its name.
        folder: where under the data folder its files lie.
        names: of the files.
        read: returns training and test part from that folder.
        size: how many images the training part has.
    """

    what: str
    folder: str
    names: tuple[str, ...]
    read: Callable[[Path], tuple[LabelledImages, LabelledImages]]
    size: int


class _InMemory(TensorDataModule):
    """Three parts of images in memory, ten classes."""

    num_classes = 10

    def __init__(self, split: Callable[[], tuple[Examples, Examples, Examples]], batch_size: int, seed: int) -> None:
        super().__init__(batch_size, seed)
        self.split = split

    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Return what ``split`` returns."""
        return self.split()


@dataclass(frozen=True, kw_only=True)
class ImageTask(SupervisedTask):
    """MNIST or CIFAR-10: a part of the training images trains, another validates, the first of the test part test.

    Args:
        source: the images.
        build: makes the network from a dropout factory.
        n_train: examples that train.
        n_val: examples that validate.
        n_test: examples that test.
    """

    source: Source
    build: Callable[[DropoutFactory], nn.Module]
    n_train: int = 40_000
    n_val: int = 5_000
    n_test: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_train", "n_val", "n_test"):
            check_count(getattr(self, name), name)
        if self.n_train + self.n_val > self.source.size:
            both, size = f"n_train {self.n_train} and n_val {self.n_val}", self.source.size
            raise ValueError(f"{both} have to sum to at most {size}, the training part of {self.source.what}")

    def files(self, folder: Path) -> list[Path]:
        """Return the image files."""
        files = [folder / self.source.folder / name for name in self.source.names]
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"no {self.source.what} in {str(folder)!r}: {str(file)!r} is missing")
        return files

    def data(self, folder: Path, seed: int) -> TensorDataModule:
        """Return the three parts."""
        return _InMemory(functools.partial(self._split, folder / self.source.folder, seed), self.batch_size, seed)

    def network(self, data: Any, dropout: DropoutFactory) -> nn.Module:
        """Return what ``build`` makes."""
        return self.build(dropout)

    def _split(self, folder: Path, seed: int) -> tuple[Examples, Examples, Examples]:
        train, test = self.source.read(folder)
        test = LabelledImages(test.x[: self.n_test], test.y[: self.n_test])
        return official_split(train, test, self.n_val / self.source.size, TrainingPart(self.n_train, seed=seed))


@dataclass(frozen=True, kw_only=True)
class FolderTask(SupervisedTask):
    """Photographs in ImageNet's layout: `ImageFolder`, whose ``val`` tests where there is no ``test``.

    Args:
        build: makes the network from the number of classes, the image size and a dropout factory.
        root: the folder in the data folder; unpack the archive if there is one.
        image_size: height and width in pixels, a multiple of 8.
        workers: processes that read images for each run.
    """

    build: Callable[[int, int, DropoutFactory], nn.Module]
    root: str = "tiny_imagenet_20"
    image_size: int = 64
    workers: int = 0

    def files(self, folder: Path) -> list[Path]:
        """Return every image; raise what `ImageFolder` raises."""
        ImageFolder(folder / self.root, self.image_size)
        return sorted(file for file in (folder / self.root).rglob("*") if file.is_file())

    def data(self, folder: Path, seed: int) -> ImageFolder:
        """Return the folders."""
        size, batch = self.image_size, self.batch_size
        return ImageFolder(folder / self.root, size, batch, seed=seed, num_workers=self.workers)

    def network(self, data: Any, dropout: DropoutFactory) -> nn.Module:
        """Return a network for as many classes as there are folders."""
        return self.build(data.num_classes, self.image_size, dropout)


MNIST = Source("MNIST", "MNIST/raw", MNIST_FILES, read_mnist, 60_000)
CIFAR10 = Source("JPEG copy of CIFAR-10", "cifar10_jpeg", CIFAR10_FILES, read_cifar10, 50_000)


def _mlp(dropout: DropoutFactory) -> nn.Module:
    return MLP(784, 10, (256, 256), dropout)


def _mnist_cnn(dropout: DropoutFactory) -> nn.Module:
    return CNN(1, 10, 28, dropout=dropout)


def _cifar10_cnn(dropout: DropoutFactory) -> nn.Module:
    return CNN(3, 10, 32, dropout=dropout)


IMAGE_TASKS: Kinds = {
    "mnist-cnn": functools.partial(ImageTask, source=MNIST, build=_mnist_cnn),
    "mnist-mlp": functools.partial(ImageTask, source=MNIST, build=_mlp),
    "cifar10-cnn": functools.partial(ImageTask, source=CIFAR10, build=_cifar10_cnn),
}
"""Every kind by its name. The CNN has dropout after both convolutions and the dense layer."""
