"""Layers of other packages, where they are installed: none is a dependency, an ImportError says that one is missing."""

from __future__ import annotations

import importlib
import os

import torch
from torch import Tensor, nn

from benchmarks.speed.naive import TEMPERATURE, P

__all__ = ["concretedropout", "keras_gaussian"]


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
