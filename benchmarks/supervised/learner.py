"""`Learner`: a classifier that may train on another loss than it is judged by."""

from __future__ import annotations

from collections.abc import Callable

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from adaptive_dropout.tasks import Classifier

__all__ = ["Learner"]


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
