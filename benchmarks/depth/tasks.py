"""The tasks: a deep MLP, a convolutional network, a vision transformer and a GPT."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from adaptive_dropout.checks import check_count
from adaptive_dropout.networks import GPT, DropoutFactory
from benchmarks.depth.networks import VisionTransformer, deep_mlp, four_site_cnn
from benchmarks.schedules.text_task import TextTask
from benchmarks.study.study import Kinds
from benchmarks.supervised.image_task import CIFAR10, MNIST, ImageTask
from benchmarks.supervised.task import Learner

__all__ = ["TASKS", "DeepTextTask", "PhotographTask"]


@dataclass(frozen=True, kw_only=True)
class PhotographTask(ImageTask):
    """An `ImageTask` whose learning rate falls to 0 along half a cosine, stepped each epoch.

    Adam is the fused one: a step of the deep MLP takes 12 ms instead of 20 on one core.
    """

    def learner(self, network: nn.Module, data: Any, train_loss: Callable[[Tensor, Tensor], Tensor]) -> Learner:
        """Return a task that trains ``network`` by ``train_loss``."""
        optimizer = functools.partial(torch.optim.Adam, lr=self.lr, fused=True)
        cosine = functools.partial(CosineAnnealingLR, T_max=self.epochs)
        return Learner(network, data.num_classes, train_loss, optimizer, cosine)


@dataclass(frozen=True, kw_only=True)
class DeepTextTask(TextTask):
    """Which character comes next, by ``layers`` blocks of width 64: two blocks, the default elsewhere, have no slope.

    Args:
        layers: blocks, at least 1.
    """

    layers: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.layers, "layers")

    def network(self, data: Any, dropout: DropoutFactory) -> nn.Module:
        """Return the GPT, with dropout on the embedding and three times in each block."""
        return GPT(data.vocabulary, self.context, self.layers, dropout=dropout)


def _digits_cnn(dropout: DropoutFactory) -> nn.Module:
    return four_site_cnn(1, 28, dropout)


TASKS: Kinds = {
    "cifar10-mlp": functools.partial(PhotographTask, source=CIFAR10, build=deep_mlp),
    "mnist-cnn": functools.partial(ImageTask, source=MNIST, build=_digits_cnn),
    "cifar10-vit": functools.partial(PhotographTask, source=CIFAR10, build=VisionTransformer),
    "shakespeare-gpt": DeepTextTask,
}
"""Every kind of task by its name."""
