"""The base of layers with noisy weights: in training each weight is normal around its mean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import Penalised, Proxy, record_call
from adaptive_dropout.rates import LearnedRate
from adaptive_dropout.rates.variance import LearnedVariance

__all__ = ["NoisyWeight"]


class NoisyWeight(Penalised):
    """Makes the weight of a layer of torch's noisy in training; that layer comes after it in the list of bases.

    A subclass defines the product of x and the weight, and the variance of the noise. Its ``rate`` has a p, and
    alpha = p / (1 - p), for each weight, row or column.
    """

    weight: Tensor
    bias: Any  # a tensor or None, which torch's layers declare in different ways
    rate: LearnedRate | LearnedVariance

    divergence: Callable[[Tensor], Tensor] = staticmethod(F.exact_kl)
    """The function that `kl` sums: ln alpha -> nats. Assign `functional.molchanov_kl` for the published one."""

    @abstractmethod
    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return this layer's output for ``x`` with the given weight and bias."""

    @abstractmethod
    def variance(self) -> Tensor:
        """Return the variance of each weight in training, of the shape of the weight."""

    def used_weight(self) -> Tensor:
        """Return the weight that is used in eval mode, without noise."""
        return self.weight

    def forward(self, input: Tensor) -> Tensor:
        """Return the layer's output with noise in training mode, and with the mean of the weights in eval mode."""
        if isinstance(input, Proxy):
            return record_call(self, input)
        if not self.training:
            return self.product(input, self.used_weight(), self.bias)
        return F.noisy_product(self.product, input, self.weight, self.variance(), self.bias)

    def kl(self) -> Tensor:
        """Return the divergence of all weights from the log-uniform prior, in nats; 0-dim, with gradient."""
        ln_alpha = self.rate.logit
        return self.divergence(ln_alpha).sum() * (self.weight.numel() / ln_alpha.numel())

    @property
    def p(self) -> float:
        """The drop probability in [0, 1] that is as strong as the noise: the mean over the weights."""
        return self.rate.p

    @property
    def alpha(self) -> Tensor:
        """The variance of the noise divided by the square of its weight, p / (1 - p); without gradient."""
        return self.rate.logit.detach().exp()

    def __repr__(self) -> str:
        # One line: the rate is a submodule, and nn.Module would show it as a child.
        return f"{type(self).__name__}({self.extra_repr()}, p={self.p:g})"
