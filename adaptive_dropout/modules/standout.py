"""`Standout`: the more a unit is excited, the more likely it is kept; its own layer decides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptive_dropout.functional import dropout
from adaptive_dropout.modules.base import Proxy, record_call
from adaptive_dropout.probability import expit
from adaptive_dropout.rates import EffectiveRate

__all__ = ["Standout"]


class Standout(nn.Module):
    """A layer and its activation g(a); each unit is kept with probability sigmoid(alpha a + beta).

    In training y = m g(a), without rescaling; in eval mode y = sigmoid(alpha a + beta) g(a), its mean. The belief
    network that decides uses the weights of the layer itself, scaled, and has none of its own to learn: alpha = beta =
    0 is dropout with p = 1/2. No gradient passes through the probability. ``rate`` has the mean p of the last training
    batch.

    >>> block = Standout(nn.Linear(4, 8), nn.ReLU(), alpha=2.0)
    >>> block.rate.p
    0.5

    Args:
        layer: maps the input, of any shape, to a; linear or convolutional. Its bias is part of a.
        activation: g, element by element.
        alpha: how much the probability depends on a.
        beta: the logit of keeping at a = 0; the larger, the more units are kept.

    Source: Ba and Frey (2013), "Adaptive dropout for training deep neural networks".
    """

    def __init__(self, layer: nn.Module, activation: nn.Module, alpha: float = 1.0, beta: float = 0.0) -> None:
        super().__init__()
        self.layer = layer
        self.activation = activation
        self.alpha = alpha
        self.beta = beta
        self.rate = EffectiveRate(expit(-beta))

    def forward(self, input: Tensor) -> Tensor:
        """Return g(a) with its units masked in training, weighted in eval mode."""
        if isinstance(input, Proxy):
            return record_call(self, input)
        a = self.layer(input)
        y: Tensor = self.activation(a)
        work = torch.promote_types(a.dtype, torch.float32)
        p = torch.sigmoid(-(self.alpha * a.detach().to(work) + self.beta))
        if not self.training:
            return (y * (1 - p)).to(y.dtype)
        self.rate.observe(p)
        return y * (dropout(torch.ones_like(p), p) > 0)

    def extra_repr(self) -> str:
        """Show alpha and beta."""
        return f"alpha={self.alpha:g}, beta={self.beta:g}"
