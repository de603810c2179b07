"""`Classifier`: one label out of several."""

from __future__ import annotations

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError

from adaptive_dropout.tasks.base import Task

__all__ = ["Classifier"]


class Classifier(Task):
    """Trains a network by cross-entropy; logs loss (NLL in nats), accuracy and calibration error.

    Args:
        network: maps x, (batch, ...), to logits, (batch, num_classes).
        num_classes: how many labels there are, at least 2; y is (batch,), int64, in [0, num_classes).
        optimizer: makes the optimizer from parameter groups.
        lr_scheduler: makes a scheduler from the optimizer, stepped once an epoch; None keeps the learning rate.

    The calibration error is the expected one over 15 bins of confidence (Guo et al., 2017, equation 3).
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        self.num_classes = num_classes
        super().__init__(network, optimizer, lr_scheduler)

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the mean cross-entropy of logits (batch, num_classes) and labels (batch,)."""
        return F.cross_entropy(output, y)

    def prediction(self, output: Tensor) -> Tensor:
        """Return class probabilities, (batch, num_classes)."""
        return output.softmax(-1)

    def metrics(self) -> MetricCollection:
        """Return accuracy and expected calibration error."""
        return MetricCollection(
            {
                "accuracy": MulticlassAccuracy(self.num_classes, average="micro"),
                "calibration_error": MulticlassCalibrationError(self.num_classes, n_bins=15),
            }
        )
