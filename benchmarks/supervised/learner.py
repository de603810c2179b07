"""`Learner`: a classifier that may train on another loss than it is judged by."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from adaptive_dropout.tasks import Classifier

__all__ = ["Learner"]


class Learner(Classifier):
    """A `Classifier` with Adam whose training loss is given; validation and test are by NLL.

    Args:
        network: maps x, (batch, ...), to logits, (batch, num_classes).
        num_classes: how many labels there are.
        lr: Adam's learning rate.
        train_loss: maps logits and labels, (batch,), to a 0-dim loss.
    """

    def __init__(
        self, network: nn.Module, num_classes: int, lr: float, train_loss: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        super().__init__(network, num_classes, functools.partial(torch.optim.Adam, lr=lr))
        self.train_loss = train_loss

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the training loss in training mode, else the mean cross-entropy; 0-dim."""
        return self.train_loss(output, y) if self.training else super().loss(output, y)
