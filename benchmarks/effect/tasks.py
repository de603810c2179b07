"""What is trained: images and a network with dropout after each part. A kind is a line in `TASKS`."""

from __future__ import annotations

import functools

from torch import nn

from adaptive_dropout.networks import MLP, DropoutFactory
from benchmarks.effect.momentum_task import MomentumTask
from benchmarks.effect.networks import small_resnet, small_vit
from benchmarks.study.study import Kinds
from benchmarks.supervised.folder_task import FolderTask
from benchmarks.supervised.image_tasks import IMAGE_TASKS, MNIST

__all__ = ["TASKS"]


def _wide_mlp(dropout: DropoutFactory) -> nn.Module:
    return MLP(784, 10, (1024, 1024, 1024), dropout)


TASKS: Kinds = {
    **IMAGE_TASKS,
    "mnist-wide-mlp": functools.partial(MomentumTask, source=MNIST, build=_wide_mlp),
    "folder-resnet": functools.partial(FolderTask, build=small_resnet),
    "folder-vit": functools.partial(FolderTask, build=small_vit),
}
"""Every kind of task by its name."""
