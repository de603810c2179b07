"""`ConcretePenalty`: what has to be added to the loss of a network with concrete dropout, without which p goes to 0."""

from __future__ import annotations

import lightning.pytorch as L
import torch
from torch import Tensor, nn

from adaptive_dropout.modules import ConcreteDropout

__all__ = ["ConcretePenalty", "concrete_penalty"]


class ConcretePenalty(L.Callback):
    """Adds the gradient of `concrete_penalty` to that of the loss, with N the number of training examples.

    Args:
        length: the prior length scale l, above 0; 1e-4 as published.
    """

    def __init__(self, length: float = 1e-4) -> None:
        self.length = length

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Back-propagate the penalty by itself; the two gradients add up."""
        assert trainer.train_dataloader is not None
        penalty = concrete_penalty(pl_module, len(trainer.train_dataloader.dataset), self.length)
        penalty.backward()  # type: ignore[no-untyped-call]


def concrete_penalty(model: nn.Module, n: int, length: float = 1e-4) -> Tensor:
    """Return w |W|^2 / (1 - p) + d K (p ln p + (1 - p) ln(1 - p)), summed over the layers of concrete dropout, 0-dim.

    For a mean negative log-likelihood of ``n`` examples w = length^2 / (2 n) and d = 1 / n. W is the weight of the
    dense or convolutional layer that follows in the order of ``model.modules()``, K how many inputs or input channels
    it has.

    Source: Gal, Hron and Kendall (2017), equations 2 to 4.
    """
    total, waiting = torch.zeros(()), None
    for module in model.modules():
        if isinstance(module, ConcreteDropout):
            waiting = module.rate.value
        elif waiting is not None and isinstance(module, (nn.Linear, nn.Conv2d)):
            p, weight = waiting, module.weight
            negative_entropy = p * p.log() + (1 - p) * (1 - p).log()
            total = total + length**2 / (2 * n) * weight.square().sum() / (1 - p)
            total = total + weight.shape[1] / n * negative_entropy
            waiting = None
    return total
