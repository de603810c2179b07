"""The competitors of our layers: each noise in plain torch operations, and the layers of other packages."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = [
    "TEMPERATURE",
    "Naive",
    "NaiveConcrete",
    "P",
    "alpha",
    "bernoulli",
    "by_channel",
    "concretedropout",
    "gaussian",
    "keras_gaussian",
]

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


def concretedropout() -> nn.Module:
    """Return the layer of the package ``concretedropout``, before a layer that does nothing."""
    return ConcretedropoutAlone(importlib.import_module("concretedropout.pytorch"))


def keras_gaussian() -> nn.Module:
    """Return ``GaussianDropout`` of Keras 3 with torch behind it."""
    os.environ["KERAS_BACKEND"] = "torch"
    keras = importlib.import_module("keras")
    layer: nn.Module = keras.layers.GaussianDropout(P)
    return InTraining(layer)


class InTraining(nn.Module):
    """Tell a Keras layer in each call that it trains."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Return the noisy ``x``."""
        y: Tensor = self.layer(x, training=True)
        return y


class ConcretedropoutAlone(nn.Module):
    """Its layer wraps the next one and writes into its input, which therefore has to be a copy."""

    def __init__(self, module: object) -> None:
        super().__init__()
        self.layer: nn.Module = module.ConcreteLinearDropout(  # type: ignore[attr-defined]
            TEMPERATURE, init_min=P, init_max=P
        )
        self.behind = Nothing()

    def forward(self, x: Tensor) -> Tensor:
        """Return the noisy ``x``."""
        y: Tensor = self.layer(x.clone(), self.behind)
        return y


class Nothing(nn.Module):
    """The identity, with the weight that the package's penalty asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``."""
        return x
