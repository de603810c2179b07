"""What is trained: images, a network with dropout after each part, Adam. A kind is a line in `TASKS`.

There is no augmentation: it would regularise beside dropout.
"""

from __future__ import annotations

import functools

from torch import nn

from adaptive_dropout.networks import CNN, MLP, DropoutFactory
from benchmarks.effect.folder_task import FolderTask
from benchmarks.effect.image_task import ImageTask, Source
from benchmarks.effect.networks import small_resnet, small_vit
from benchmarks.study.images import CIFAR10_FILES, MNIST_FILES, read_cifar10, read_mnist
from benchmarks.study.study import Kinds

__all__ = ["TASKS"]

_MNIST = Source("MNIST", "MNIST/raw", MNIST_FILES, read_mnist, 60_000)
_CIFAR10 = Source("JPEG copy of CIFAR-10", "cifar10_jpeg", CIFAR10_FILES, read_cifar10, 50_000)


def _mlp(dropout: DropoutFactory) -> nn.Module:
    return MLP(784, 10, (256, 256), dropout)


def _mnist_cnn(dropout: DropoutFactory) -> nn.Module:
    return CNN(1, 10, 28, dropout=dropout)


def _cifar10_cnn(dropout: DropoutFactory) -> nn.Module:
    return CNN(3, 10, 32, dropout=dropout)


TASKS: Kinds = {
    "mnist-cnn": functools.partial(ImageTask, source=_MNIST, build=_mnist_cnn),
    "mnist-mlp": functools.partial(ImageTask, source=_MNIST, build=_mlp),
    "cifar10-cnn": functools.partial(ImageTask, source=_CIFAR10, build=_cifar10_cnn),
    "folder-resnet": functools.partial(FolderTask, build=small_resnet),
    "folder-vit": functools.partial(FolderTask, build=small_vit),
}
"""Every kind of task by its name. The CNN has dropout after both convolutions and the dense layer."""
