"""`LeastSquares`: a number to predict by its mean alone, trained many optimizer steps in a step of Lightning's.

What Lightning does around a step on 128 examples and 50 units takes as long as the step itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torchmetrics import MeanSquaredError, MetricCollection

from adaptive_dropout.checks import check_count
from adaptive_dropout.modules import Penalised
from adaptive_dropout.penalties import penalty
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
        self._is_penalised = any(isinstance(module, Penalised) for module in network.modules())

    def configure_callbacks(self) -> Sequence[L.Callback]:
        """Add none: a callback would see one optimizer step in many, so the penalty is part of each here."""
        return []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Train on one piece after the other; return the mean of their losses, with dropout on."""
        counted: Any = self.optimizers()
        pieces = list(zip(*(torch.split(part, self.piece) for part in batch), strict=True))
        losses = []
        for number, (x, y) in enumerate(pieces, start=1):
            counted.optimizer.zero_grad()
            loss = self.loss(self(x), y)
            self._objective(loss).backward()  # type: ignore[no-untyped-call]
            # The last step is Lightning's, which counts it.
            (counted if number == len(pieces) else counted.optimizer).step()
            losses.append(loss.detach())
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

    def _objective(self, loss: Tensor) -> Tensor:
        if not self._is_penalised:
            return loss
        # A penalty is in nats, and the squared error becomes nats when divided by the variance of the noise: by now
        # likeliest to be the squared error itself.
        train_set = self.trainer.datamodule.train_set  # type: ignore[attr-defined]
        return loss + 2 * loss.detach() * penalty(self.network, len(train_set))
