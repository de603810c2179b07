"""MNIST and CIFAR-10 with the library's networks. There is no augmentation: it would regularise beside dropout."""

from __future__ import annotations

import functools

from torch import nn

from adaptive_dropout.networks import CNN, MLP, DropoutFactory
from benchmarks.study.images import CIFAR10_FILES, MNIST_FILES, read_cifar10, read_mnist
from benchmarks.study.study import Kinds
from benchmarks.supervised.image_task import ImageTask, Source

__all__ = ["IMAGE_TASKS", "MNIST"]

MNIST = Source("MNIST", "MNIST/raw", MNIST_FILES, read_mnist, 60_000)
_CIFAR10 = Source("JPEG copy of CIFAR-10", "cifar10_jpeg", CIFAR10_FILES, read_cifar10, 50_000)


def _mlp(dropout: DropoutFactory) -> nn.Module:
    return MLP(784, 10, (256, 256), dropout)


def _mnist_cnn(dropout: DropoutFactory) -> nn.Module:
    return CNN(1, 10, 28, dropout=dropout)


def _cifar10_cnn(dropout: DropoutFactory) -> nn.Module:
    return CNN(3, 10, 32, dropout=dropout)


IMAGE_TASKS: Kinds = {
    "mnist-cnn": functools.partial(ImageTask, source=MNIST, build=_mnist_cnn),
    "mnist-mlp": functools.partial(ImageTask, source=MNIST, build=_mlp),
    "cifar10-cnn": functools.partial(ImageTask, source=_CIFAR10, build=_cifar10_cnn),
}
"""Every kind by its name. The CNN has dropout after both convolutions and the dense layer."""
