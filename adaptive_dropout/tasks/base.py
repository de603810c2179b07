"""`Task`: a network, a loss and metrics on batches of (x, y), and an optimizer that handles learned rates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MetricCollection

from adaptive_dropout.callbacks import DropoutRateScheduler, RatePenalty
from adaptive_dropout.callbacks.packages import callbacks_of
from adaptive_dropout.modules import Penalised
from adaptive_dropout.rates import ScheduledRate, named_rates, rate_param_groups

__all__ = ["Task"]


class Task(L.LightningModule, ABC):
    """Trains ``network`` on batches of (x, y) and logs ``<stage>_loss`` and metrics for train, val and test.

    The validation loss is the mean negative log-likelihood per example with dropout off. Learned rates have a parameter
    group of their own, without weight decay and with ten times the learning rate. `DropoutRateScheduler` and
    `RatePenalty` are added where the network needs them, unless the trainer already has them.

    Args:
        network: maps x, (batch, ...), to what the loss takes.
        optimizer: makes the optimizer from parameter groups.
        lr_scheduler: makes a scheduler from the optimizer, stepped once an epoch; None keeps the learning rate.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.make_optimizer = optimizer
        self.make_lr_scheduler = lr_scheduler
        metrics = self.metrics()
        self.val_metrics = metrics.clone(prefix="val_")
        self.test_metrics = metrics.clone(prefix="test_")

    @abstractmethod
    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of ``y`` per example, 0-dim, in nats."""

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """Return new metrics that are updated with (prediction, y)."""

    def prediction(self, output: Tensor) -> Tensor:
        """Return what the metrics take, made from the network's output."""
        return output

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's output."""
        output: Tensor = self.network(x)
        return output

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss with dropout on."""
        x, y = batch
        loss = self.loss(self(x), y)
        self.log("train_loss", loss, prog_bar=True, batch_size=len(x))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log loss and metrics with dropout off."""
        self._evaluate(batch, self.val_metrics, "val_loss")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log loss and metrics with dropout off."""
        self._evaluate(batch, self.test_metrics, "test_loss")

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the prediction for a batch of x, or of (x, y)."""
        x = batch[0] if isinstance(batch, (tuple, list)) else batch
        return self.prediction(self(x))

    def configure_optimizers(self) -> Any:
        """Make the optimizer over weights and learned rates, and the scheduler."""
        # A throw-away optimizer shows the configured learning rate.
        lr = self.make_optimizer([nn.Parameter(torch.zeros(()))]).defaults["lr"]
        optimizer = self.make_optimizer(rate_param_groups(self, lr=float(lr)))
        if self.make_lr_scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self.make_lr_scheduler(optimizer)}

    def configure_callbacks(self) -> Sequence[L.Callback]:
        """Drive the schedules of the network, and add the penalty of its learned noise, if it has any."""
        callbacks: list[L.Callback] = [DropoutRateScheduler()] if any(named_rates(self, ScheduledRate)) else []
        if any(isinstance(module, Penalised) for module in self.modules()):
            callbacks += [] if callbacks_of(self.trainer, RatePenalty) else [RatePenalty()]
        return callbacks

    def _evaluate(self, batch: tuple[Tensor, Tensor], metrics: MetricCollection, name: str) -> None:
        x, y = batch
        output = self(x)
        self.log(name, self.loss(output, y), prog_bar=True, batch_size=len(x), sync_dist=True)
        metrics.update(self.prediction(output), y)
        self.log_dict(metrics, batch_size=len(x))
