"""Which layers of a model the settable rates belong to: those are measured, the others stay as they are."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from adaptive_dropout.modules import (
    AlphaDropout,
    BernoulliDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropPath,
    FeatureAlphaDropout,
    NoiseLayer,
)
from adaptive_dropout.rates import SettableRate, named_rates

__all__ = ["MASKED", "Steered", "steered_layers"]

MASKED = (AlphaDropout, BernoulliDropout, DropPath, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout)
"""Layers whose noise is a mask: by itself it passes no gradient to p, and it takes a p of shape (batch, 1, ...)."""


class Steered(NamedTuple):
    """A dropout layer with a settable rate.

    Args:
        path: the layer's name in the model.
        layer: the layer.
        rate: the name of its rate, which other layers may share.
    """

    path: str
    layer: NoiseLayer
    rate: str


def steered_layers(model: nn.Module) -> list[Steered]:
    """Return the layers of ``model`` with a settable rate, in the order of its modules.

    Raises:
        ValueError: there are none.
    """
    names = {id(rate): name for name, rate in named_rates(model, SettableRate)}
    layers = [(path, module) for path, module in model.named_modules() if isinstance(module, NoiseLayer)]
    found = [Steered(path, layer, names[id(layer.rate)]) for path, layer in layers if id(layer.rate) in names]
    if not found:
        raise ValueError(f"there is no settable rate in {type(model).__name__}; give it a layer such as Dropout(0.3)")
    return found
