"""`LeastSquares`: a number to predict by its mean alone, trained many optimizer steps in a step of Lightning's.

A step on 128 examples and 50 units takes a tenth of what Lightning does around it.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torchmetrics import MeanSquaredError, MetricCollection

from adaptive_dropout.counts import check_count
from adaptive_dropout.tasks import Task

__all__ = ["LeastSquares"]


class LeastSquares(Task):
    """Trains a mean by squared error; how noisy the targets are is fitted afterwards, to validation predictions.

    The network maps x, (batch, features), to (batch, 1); y is (batch,). The loss is half the squared error: the
    negative log-likelihood, up to a constant, of targets with noise of variance 1. A training batch is cut into pieces,
    with an optimizer step each; Lightning counts it as one step. The learning rate's scheduler is stepped once an
    epoch.

    Args:
        network: gives the mean.
        piece: examples in an optimizer step.
        optimizer, lr_scheduler: as in `Task`.
    """

    def __init__(
        self,
        network: nn.Module,
        piece: int,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__(network, optimizer, lr_scheduler)
        self.piece = check_count(piece, "piece")
        self.automatic_optimization = False

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Train on one piece after the other; return the mean of their losses, with dropout on."""
        counted: Any = self.optimizers()
        optimizer = counted.optimizer
        losses = []
        pieces = [torch.split(part, self.piece) for part in batch]
        for x, y in zip(*pieces, strict=True):
            optimizer.zero_grad()
            loss = self.loss(self(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            # The last step is Lightning's, which counts it.
            (optimizer if len(losses) * self.piece < len(batch[0]) else counted).step()
        mean = torch.stack(losses).mean()
        self.log("train_loss", mean, batch_size=len(batch[0]))
        return mean

    def on_train_epoch_end(self) -> None:
        """Step the learning rate, which Lightning leaves to a task that optimizes by itself."""
        scheduler: Any = self.lr_schedulers()
        if scheduler is not None:
            scheduler.step()

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the mean of (y - mean)^2 / 2, 0-dim."""
        return 0.5 * mse_loss(output.squeeze(1), y)

    def prediction(self, output: Tensor) -> Tensor:
        """Return the mean, (batch,)."""
        return output.squeeze(1)

    def metrics(self) -> MetricCollection:
        """Return the root mean squared error, in standard deviations of the target."""
        return MetricCollection({"rmse": MeanSquaredError(squared=False)})
