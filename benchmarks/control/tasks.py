"""The tasks: real data, a network with dropout, an optimizer, and a number of steps.

A task is one line in `TASKS`. A quarter of them is marked ``held_out``: these were named before anything was measured
on them, and the rules are not tuned on them.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from adaptive_dropout.networks import CNN, MLP, DropoutFactory
from benchmarks.control import data
from benchmarks.control.study_task import VALIDATIONS, ArrayTask, Fitting, StudyTask, TextTask

__all__ = ["TASKS", "batch_norm_cnn"]

SGD = functools.partial(torch.optim.SGD, lr=0.05, momentum=0.9)
SGD_WITH_DECAY = functools.partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=5e-4)
ADAMW = functools.partial(torch.optim.AdamW, lr=1e-3, weight_decay=0.1, fused=True)
COSINE = functools.partial(CosineAnnealingLR, T_max=VALIDATIONS)


_CHANNELS = (16, 32, 64)


def batch_norm_cnn(out_features: int, dropout: DropoutFactory) -> nn.Module:
    """Return a network (batch, 3, 32, 32) -> (batch, out_features): three convolutions, each with dropout after it.

    A block is 3x3 convolution, 2x2 max-pooling, batch normalisation, ReLU and dropout; the last maps, (64, 4, 4), are
    averaged over space. It lies in memory channels last, which is faster on a CPU.
    """
    blocks = [_block(before, after, dropout) for before, after in zip((3, *_CHANNELS), _CHANNELS, strict=False)]
    layers = (*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_CHANNELS[-1], out_features))
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def _block(before: int, after: int, dropout: DropoutFactory) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        dropout(),
    )


def _mlp(features: int, outputs: int, dropout: DropoutFactory) -> nn.Module:
    return MLP(features, outputs, (256, 256), dropout)


def _mnist_cnn(features: int, outputs: int, dropout: DropoutFactory) -> nn.Module:
    return CNN(1, outputs, image_size=28, channels=(16, 32), dropout=dropout)


def _photograph_cnn(features: int, outputs: int, dropout: DropoutFactory) -> nn.Module:
    return batch_norm_cnn(outputs, dropout)


def _digits(n: int, noise: float = 0.0, **fitting: Any) -> ArrayTask:
    return ArrayTask(Fitting(**fitting), functools.partial(data.digits, n, noise), _mlp, 10)


def _mnist(noise: float = 0.0, **fitting: Any) -> ArrayTask:
    return ArrayTask(Fitting(**fitting), functools.partial(data.mnist, 1000, noise), _mlp, 10, file="MNIST/raw")


def _mnist_with_cnn() -> ArrayTask:
    return replace(_mnist(steps=1000), network=_mnist_cnn, tolerance=0.04)


def _cifar10(n: int, held_out: bool = False) -> ArrayTask:
    fitting, split = Fitting(1500, 64, SGD_WITH_DECAY, COSINE), functools.partial(data.cifar10, n)
    return ArrayTask(fitting, split, _photograph_cnn, 10, file="cifar10_jpeg", held_out=held_out, tolerance=0.04)


def _uci(name: str, batch_size: int = 64, held_out: bool = False) -> ArrayTask:
    return ArrayTask(Fitting(batch_size=batch_size), data.uci, _mlp, file=f"uci/{name}.npz", held_out=held_out)


def _tabular(name: str, classes: int, held_out: bool = False) -> ArrayTask:
    return ArrayTask(Fitting(), data.tabular, _mlp, classes, file=f"tabular/{name}.tsv.gz", held_out=held_out)


def _gpt(n: int, held_out: bool = False) -> TextTask:
    fitting = Fitting(2000, 32, ADAMW)
    return TextTask(fitting, n, file="tiny_shakespeare/input.txt", held_out=held_out)


TASKS: dict[str, StudyTask] = {
    "digits:200": _digits(200, batch_size=32),
    "digits:1000": _digits(1000),
    "digits:500:noise": _digits(500, 0.3, batch_size=32),
    "digits:500:noise:sgd": _digits(500, 0.3, batch_size=32, optimizer=SGD),
    "diabetes": ArrayTask(Fitting(batch_size=32), data.diabetes, _mlp),
    "diabetes:cosine": ArrayTask(Fitting(batch_size=32, lr_scheduler=COSINE), data.diabetes, _mlp),
    "breast-cancer": ArrayTask(Fitting(batch_size=32), data.breast_cancer, _mlp, 2, held_out=True),
    "mnist:1000": _mnist(),
    "mnist:1000:noise": _mnist(0.3),
    "mnist:1000:cosine": _mnist(lr_scheduler=COSINE),
    "mnist:1000:sgd": _mnist(optimizer=SGD),
    "mnist:1000:cnn": _mnist_with_cnn(),
    "boston": _uci("bostonHousing", batch_size=32),
    "energy": _uci("energy", batch_size=32, held_out=True),
    "yacht": _uci("yacht", batch_size=32),
    "wine": _uci("wine-quality-red"),
    "power": _uci("power-plant", held_out=True),
    "protein": _uci("protein-tertiary-structure"),
    "letter": _tabular("letter", 26, held_out=True),
    "phoneme": _tabular("phoneme", 2),
    "satimage": _tabular("satimage", 6, held_out=True),
    "spambase": _tabular("spambase", 2),
    "cifar10:300": _cifar10(300),
    "cifar10:1000": _cifar10(1000),
    "cifar10:5000": _cifar10(5000, held_out=True),
    "gpt:16k": _gpt(16_000),
    "gpt:100k": _gpt(100_000, held_out=True),
}
"""Every task by its name. Names never change: rows of earlier runs are found by them."""
