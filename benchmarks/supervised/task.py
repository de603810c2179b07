"""`SupervisedTask`: data, a network with dropout, and its training by Adam."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from adaptive_dropout.checks import check_count
from adaptive_dropout.networks import DropoutFactory
from adaptive_dropout.tasks import Classifier, Task

__all__ = ["Learner", "SupervisedTask"]


@dataclass(frozen=True)
class SupervisedTask(ABC):
    """One setting of the study.

    Args:
        epochs: passes over the training examples, at least 1.
        batch_size: examples in a batch.
        validations: how often a run validates; the adaptive rule wants 20 or more.
        lr: Adam's learning rate.
    """

    epochs: int = 20
    batch_size: int = 64
    validations: int = 40
    lr: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validations"):
            check_count(getattr(self, name), name)
        if not self.lr > 0:
            raise ValueError(f"lr has to be above 0, but got {self.lr}")

    @property
    def precision(self) -> str:
        """Of the arithmetic, as Lightning's trainer names it."""
        return "32-true"

    @abstractmethod
    def files(self, folder: Path) -> list[Path]:
        """Return the files in the data folder that a run reads; raise FileNotFoundError if one is missing."""

    @abstractmethod
    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the data of one run: ``seed`` chooses split and order."""

    @abstractmethod
    def network(self, data: Any, dropout: DropoutFactory) -> nn.Module:
        """Return a network for ``data``, which has been set up, with initial weights from torch's seed."""

    def learner(self, network: nn.Module, data: Any, train_loss: Callable[[Tensor, Tensor], Tensor]) -> Task:
        """Return a task that trains ``network`` by ``train_loss`` of logits (n, classes) and labels (n,)."""
        return Learner(network, data.num_classes, train_loss, functools.partial(torch.optim.Adam, lr=self.lr))


class Learner(Classifier):
    """A `Classifier` whose training loss is given; validation and test are by NLL.

    Args:
        network: maps x, (batch, ...), to logits, (batch, num_classes).
        num_classes: how many labels there are.
        train_loss: maps logits and labels, (batch,), to a 0-dim loss.
        optimizer: makes the optimizer from parameter groups.
        lr_scheduler: makes a scheduler from the optimizer, stepped once an epoch; None keeps the learning rate.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        train_loss: Callable[[Tensor, Tensor], Tensor],
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__(network, num_classes, optimizer, lr_scheduler)
        self.train_loss = train_loss

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the training loss in training mode, else the mean cross-entropy; 0-dim."""
        return self.train_loss(output, y) if self.training else super().loss(output, y)
