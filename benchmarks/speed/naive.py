"""Each noise as one would write it in torch operations: what the layers have to be faster than."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["TEMPERATURE", "Naive", "NaiveConcrete", "P", "alpha", "bernoulli", "by_channel", "gaussian"]

P = 0.3
TEMPERATURE = 0.1
STD = math.sqrt(P / (1 - P))
ALPHA_PRIME = -1.7580993408473766
ALPHA_SCALE = 1 / math.sqrt((1 - P) * (1 + P * ALPHA_PRIME**2))


class Naive(nn.Module):
    """A function of the input as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return the function of ``x``."""
        return self.function(x)


class NaiveConcrete(nn.Module):
    """Gal, Hron and Kendall (2017), equation 5, as in the authors' own code; p is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(P).logit())

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x (1 - z) / (1 - p)``."""
        p, u, eps = self.logit.sigmoid(), torch.rand_like(x), 1e-7
        gate = (p + eps).log() - (1 - p + eps).log() + (u + eps).log() - (1 - u + eps).log()
        return x * (1 - (gate / TEMPERATURE).sigmoid()) / (1 - p)


def bernoulli(x: Tensor) -> Tensor:
    """Srivastava et al. (2014), section 4, inverted."""
    return x * (torch.rand_like(x) >= P) / (1 - P)


def by_channel(x: Tensor) -> Tensor:
    """Tompson et al. (2015), section 3.2, for (batch, channels, height, width)."""
    return x * (torch.rand((*x.shape[:2], 1, 1), device=x.device) >= P) / (1 - P)


def gaussian(x: Tensor) -> Tensor:
    """Srivastava et al. (2014), section 10."""
    return x * (1 + STD * torch.randn_like(x))


def alpha(x: Tensor) -> Tensor:
    """Klambauer et al. (2017), "Alpha Dropout"."""
    return torch.where(torch.rand_like(x) >= P, x, ALPHA_PRIME) * ALPHA_SCALE - ALPHA_SCALE * P * ALPHA_PRIME
