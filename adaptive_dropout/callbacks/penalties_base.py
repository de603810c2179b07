"""What the penalties share: their gradient is added once an optimizer step, and the training loss stays as it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.optim import Optimizer

from adaptive_dropout.callbacks.both import Callback
from adaptive_dropout.callbacks.checks import SHARDED

__all__ = ["PenaltyCallback"]


class PenaltyCallback(Callback, ABC):
    """Adds the gradient of a penalty to that of the loss, just before the optimizer steps, in any LightningModule.

    Gradients are complete then: accumulated, averaged over processes, and unscaled again in float16; clipping comes
    afterwards. Each optimizer gets the gradients of its own parameters. The loss that is logged stays that of the data.

    Raises:
        ValueError: at the set-up: the model is sharded, so that no process has whole weights.
    """

    metric: ClassVar[str]
    """What the penalty is logged as."""

    @abstractmethod
    def penalty(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Tensor:
        """Return what to add to the loss, 0-dim, with gradient."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse sharded models."""
        if isinstance(trainer.strategy, SHARDED):
            raise ValueError(
                f"{type(self).__name__} needs whole weights, but {type(trainer.strategy).__name__} shards them; "
                "use strategy='ddp' or a single device"
            )

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Add the gradient and log the penalty."""
        with torch.enable_grad():
            penalty = self.penalty(trainer, pl_module)
        pl_module.log(self.metric, penalty.detach(), on_step=True, on_epoch=False, batch_size=1)
        own = [w for group in optimizer.param_groups for w in group["params"] if w.requires_grad]
        gradients = torch.autograd.grad(penalty * _scale(trainer, optimizer), own, allow_unused=True)
        for weight, gradient in zip(own, gradients, strict=True):
            if gradient is None:
                continue
            if weight.grad is None:
                weight.grad = gradient.clone()
            else:
                weight.grad.add_(gradient)


def _scale(trainer: L.Trainer, optimizer: Optimizer) -> float:
    """Return what the gradients are still multiplied by: fused optimizers divide by the scale of float16 themselves."""
    scaler: torch.amp.GradScaler | None = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is None or not getattr(optimizer, "_step_supports_amp_scaling", False):
        return 1.0
    return float(scaler.get_scale())
