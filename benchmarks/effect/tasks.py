"""The tasks: images, and a network with dropout after each part. `MomentumTask` trains as the first such nets were.

The arguments of a kind are its settings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR

from adaptive_dropout.networks import MLP, DropoutFactory
from adaptive_dropout.tasks import Task
from benchmarks.effect.networks import small_resnet, small_vit
from benchmarks.study.study import Kinds
from benchmarks.supervised.image_task import IMAGE_TASKS, MNIST, FolderTask, ImageTask
from benchmarks.supervised.task import Learner

__all__ = ["TASKS", "MomentumTask"]

Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True, kw_only=True)
class MomentumTask(ImageTask):
    """An `ImageTask` whose learning rate falls to 0 in a straight line, epoch by epoch.

    Args:
        lr: of the first epoch.
        momentum: in [0, 1).
        precision: as Lightning's trainer names it.
    """

    lr: float = 0.03
    momentum: float = 0.95
    precision: Precision = "32-true"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum has to be in [0, 1), but got {self.momentum}")
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision has to be one of {get_args(Precision)}, but got {self.precision!r}")

    def learner(self, network: nn.Module, data: Any, train_loss: Callable[[Tensor, Tensor], Tensor]) -> Task:
        """Return a task that trains ``network`` by ``train_loss`` of logits (n, classes) and labels (n,)."""
        optimizer = functools.partial(torch.optim.SGD, lr=self.lr, momentum=self.momentum)
        falling = functools.partial(LinearLR, start_factor=1.0, end_factor=0.0, total_iters=self.epochs)
        return Learner(network, data.num_classes, train_loss, optimizer, falling)


def _wide_mlp(dropout: DropoutFactory) -> nn.Module:
    return MLP(784, 10, (1024, 1024, 1024), dropout)


TASKS: Kinds = {
    **IMAGE_TASKS,
    "mnist-wide-mlp": functools.partial(MomentumTask, source=MNIST, build=_wide_mlp),
    "folder-resnet": functools.partial(FolderTask, build=small_resnet),
    "folder-vit": functools.partial(FolderTask, build=small_vit),
}
"""Every kind of task by its name."""
