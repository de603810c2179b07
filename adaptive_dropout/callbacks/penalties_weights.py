"""`L1Penalty` and `L2Penalty`: norms of the weights, beside any dropout, in any run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import lightning.pytorch as L
from torch import Tensor, nn

from adaptive_dropout.callbacks.penalties_base import PenaltyCallback
from adaptive_dropout.penalties import l1, l2

__all__ = ["L1Penalty", "L2Penalty"]


class _NormPenalty(PenaltyCallback):
    """``strength`` times a norm of the weights."""

    norm: ClassVar[Callable[[nn.Module], Tensor]]

    def __init__(self, strength: float) -> None:
        if not 0 < strength < math.inf:
            raise ValueError(f"strength has to be above 0 and finite, but got {strength}")
        self.strength = strength

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise where there is nothing to penalise."""
        self.penalty(trainer, pl_module)

    def penalty(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Tensor:
        """Return ``strength`` times the norm."""
        return self.strength * type(self).norm(pl_module)


class L1Penalty(_NormPenalty):
    """Adds the gradient of ``strength`` times the sum of absolute weights to that of the loss; logs ``l1_penalty``.

    Biases, normalisation and learned rates are left alone, as `adaptive_dropout.l1` says. It may stand beside
    `L2Penalty` (the elastic net), `RatePenalty` and any dropout.

    Args:
        strength: above 0, in units of the loss.

    Raises:
        ValueError: ``strength`` is not above 0, or infinite; when training starts: the model has no weights.
    """

    metric: ClassVar[str] = "l1_penalty"
    norm: ClassVar[Callable[[nn.Module], Tensor]] = staticmethod(l1)


class L2Penalty(_NormPenalty):
    """Adds the gradient of ``strength`` times the sum of squared weights to that of the loss; logs ``l2_penalty``.

    With plain gradient descent that is a weight decay of ``2 * strength`` on the weights alone; adaptive optimizers
    divide it as they do all gradients, which is not what AdamW's weight decay does. Biases, normalisation and learned
    rates are left alone, as `adaptive_dropout.l1` says.

    Args:
        strength: above 0, in units of the loss.

    Raises:
        ValueError: ``strength`` is not above 0, or infinite; when training starts: the model has no weights.
    """

    metric: ClassVar[str] = "l2_penalty"
    norm: ClassVar[Callable[[nn.Module], Tensor]] = staticmethod(l2)
