"""`ExampleLosses`: a loss for each example, from a task whose loss is their mean."""

from __future__ import annotations

import functools
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from adaptive_dropout.tasks import Task

__all__ = ["ExampleLosses", "example_losses"]


class ExampleLosses(L.Callback):
    """Adds ``example_losses`` to what ``training_step`` returns, from the same pass through the network.

    `BernoulliGradient` then judges the masks of each example by the loss of that example: by the mean over a batch of
    64 the variance would be about 64 times as large.
    """

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Return more from each step from here on."""
        assert isinstance(pl_module, Task)
        pl_module.training_step = functools.partial(_step, pl_module)  # type: ignore[assignment, method-assign]

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give the task its own step back."""
        del pl_module.training_step


def example_losses(task: Task, output: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each example, (batch,), whose mean is ``task.loss(output, y)``."""
    losses: Tensor = torch.vmap(lambda one, target: task.loss(one[None], target[None]))(output, y)
    return losses


def _step(task: Task, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
    x, y = batch
    losses = example_losses(task, task(x), y)
    return {"loss": losses.mean(), "example_losses": losses}
