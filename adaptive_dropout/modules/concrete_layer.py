"""`ConcreteLayer`: a layer and the concrete dropout of its input, so that the penalty knows which weights it is on."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from adaptive_dropout.functional.concrete_kl import concrete_kl
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.modules.penalised import Penalised
from adaptive_dropout.rates import LearnedRate

__all__ = ["ConcreteLayer"]

NEAREST = 2.0**-24  # to 0 and 1, that p of a rate which is set may come


class ConcreteLayer(Penalised):
    """Drops the input of ``layer`` in training, then applies it; `ConcreteDropout.wrap` makes it.

    Each wrapped layer draws a mask of its own, and its entropy is counted once, also where several layers share one
    rate. Of inputs (batch, time, features) the features count, not the times.

    Args:
        layer: dense or convolutional, with ``weight`` and ``bias``; kept, not copied.
        dropout: concrete dropout in the form that fits the input of ``layer``.
        length_scale: l > 0, of the prior of weights and biases, l^2 / 2 in front of their squares.

    Raises:
        ValueError: ``length_scale`` is not above 0, or infinite.
    """

    def __init__(self, layer: nn.Linear | nn.modules.conv._ConvNd, dropout: NoiseLayer, length_scale: float) -> None:
        super().__init__()
        if not 0 < length_scale < math.inf:
            raise ValueError(f"length_scale has to be above 0 and finite, but got {length_scale}")
        self.dropout = dropout
        self.layer = layer
        self.length_scale = length_scale

    @property
    def p(self) -> float:
        """The drop probability in [0, 1]. Assigning moves a settable rate, and raises for any other."""
        return self.dropout.p

    @p.setter
    def p(self, p: float) -> None:
        self.dropout.p = p

    @property
    def units(self) -> int:
        """How many mask elements one input draws: input features, or input channels."""
        return self.layer.in_features if isinstance(self.layer, nn.Linear) else self.layer.in_channels

    def forward(self, input: Tensor) -> Tensor:
        """Return the layer's output for ``input`` with noise in training mode, without it in eval mode."""
        output: Tensor = self.layer(self.dropout(input))
        return output

    def kl(self) -> Tensor:
        """Return `concrete_kl` of the layer's weights and biases, in nats for the whole training set."""
        rate = self.dropout.rate
        logit = rate.logit if isinstance(rate, LearnedRate) else torch.logit(rate.value, eps=NEAREST)
        parts = [part for part in (self.layer.weight, self.layer.bias) if part is not None]
        return concrete_kl(parts, logit, self.units, self.length_scale)

    def extra_repr(self) -> str:
        """Show the length scale."""
        return f"length_scale={self.length_scale:g}"
