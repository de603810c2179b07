"""A rate that nobody sets: the mean p of a layer that computes p from each input."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_dropout.checks import check_p
from adaptive_dropout.rates.kinds import Rate

__all__ = ["EffectiveRate"]


class EffectiveRate(Rate):
    """The mean p of the last training batch, written by the layer that computed it; listed like any rate.

    Args:
        p: the value before the first batch.
    """

    writer = "its layer, from the input"

    def __init__(self, p: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(check_p(p), dtype=torch.float32), persistent=False)

    def observe(self, p: Tensor) -> None:
        """Store the mean of ``p``, of any shape, without waiting for a device.

        An empty batch has no mean, and one without gradient, such as a sample of Monte Carlo dropout, is not training:
        both are ignored.
        """
        if p.numel() and torch.is_grad_enabled():
            with torch.no_grad():
                self.value.copy_(p.detach().mean(dtype=torch.float32))

    def _read(self) -> float:
        return float(self.value)
