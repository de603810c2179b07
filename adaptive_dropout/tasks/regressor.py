"""`Regressor`: a number, with the uncertainty that the network sees in it."""

from __future__ import annotations

import math

from torch import Tensor
from torchmetrics import MeanSquaredError, MetricCollection

from adaptive_dropout.tasks.base import Task

__all__ = ["Regressor"]


class Regressor(Task):
    """Trains a network that gives a mean and a log-variance by Gaussian likelihood; logs loss (NLL in nats) and RMSE.

    The network maps x, (batch, ...), to (batch, 2): the mean and the log-variance of y, which is (batch,).
    The units are those of y in the data module; standardise y, because the loss of distant values is steep.

    Source: Nix and Weigend (1994), equation 2, with the constant ln(2 pi) / 2.
    """

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return the mean of ((y - mean)^2 exp(-s) + s + ln(2 pi)) / 2, where s is the log-variance."""
        if output.shape != (len(y), 2) or y.dim() != 1:
            raise ValueError(
                "Regressor takes outputs (batch, 2), mean and log-variance, and targets (batch,), "
                f"but got {tuple(output.shape)} and {tuple(y.shape)}"
            )
        mean, log_variance = output.unbind(1)
        squared = (y - mean) ** 2
        return 0.5 * (squared * (-log_variance).exp() + log_variance + math.log(2 * math.pi)).mean()

    def prediction(self, output: Tensor) -> Tensor:
        """Return the mean, (batch,)."""
        return output[:, 0]

    def metrics(self) -> MetricCollection:
        """Return the root mean squared error."""
        return MetricCollection({"rmse": MeanSquaredError(squared=False)})
