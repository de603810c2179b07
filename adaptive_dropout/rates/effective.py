"""A rate that nobody sets: what p came to, on average, where a layer makes it from each input."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_dropout.checks import check_p
from adaptive_dropout.rates.kinds import Rate

__all__ = ["EffectiveRate"]


class EffectiveRate(Rate):
    """The mean p of the last batch trained on, written by the layer that made it; listed as any rate.

    Args:
        p: what to say before the first batch.
    """

    writer = "its layer, from the input"

    def __init__(self, p: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(check_p(p), dtype=torch.float32), persistent=False)

    def observe(self, p: Tensor) -> None:
        """Take over the mean of ``p``, of any shape; waits for no device.

        An empty batch says nothing, and one without gradient, such as a sample of Monte Carlo dropout, trains nothing.
        """
        if p.numel() and torch.is_grad_enabled():
            with torch.no_grad():
                self.value.copy_(p.detach().mean(dtype=torch.float32))

    def _read(self) -> float:
        return float(self.value)
