"""What a layer with noisy weights is: weights that are normal around their mean in training, with a rate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.leaf import Proxy, recorded
from adaptive_dropout.modules.penalised import Penalised
from adaptive_dropout.rates import LearnedRate
from adaptive_dropout.rates.variance import LearnedVariance

__all__ = ["NoisyWeight"]


class NoisyWeight(Penalised):
    """Takes a layer of torch's, which it stands before in the list of bases, and makes its weight noisy in training.

    A subclass says how x meets the weight, and how strong the noise is. Its ``rate`` has a p, and alpha = p / (1 - p),
    for each weight or for a row or column of them.
    """

    weight: Tensor
    bias: Any  # a tensor or None, which torch's layers declare in different ways
    rate: LearnedRate | LearnedVariance

    divergence: Callable[[Tensor], Tensor] = staticmethod(F.exact_kl)
    """What `kl` sums: ln alpha -> nats. Assign `functional.molchanov_kl` to a layer to have the published one."""

    @abstractmethod
    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return what this layer makes of ``x`` with this weight and bias."""

    @abstractmethod
    def variance(self) -> Tensor:
        """Return the variance of each weight in training, of the shape of the weight."""

    def used_weight(self) -> Tensor:
        """Return the weight of eval mode, without noise."""
        return self.weight

    def forward(self, input: Tensor) -> Tensor:
        """Return the layer's output with noise in training mode, and with the mean of the weights in eval mode."""
        if isinstance(input, Proxy):
            return recorded(self, input)
        if not self.training:
            return self.product(input, self.used_weight(), self.bias)
        return F.noisy_product(self.product, input, self.weight, self.variance(), self.bias)

    def kl(self) -> Tensor:
        """Return the divergence of all weights from the log-uniform prior, in nats; 0-dim, with gradient."""
        ln_alpha = self.rate.logit
        return self.divergence(ln_alpha).sum() * (self.weight.numel() / ln_alpha.numel())

    @property
    def p(self) -> float:
        """The drop probability that the noise is as strong as, in [0, 1]: the mean over the weights."""
        return self.rate.p

    @property
    def alpha(self) -> Tensor:
        """The variance of the noise over the square of its weight, p / (1 - p), without gradient."""
        return self.rate.logit.detach().exp()

    def __repr__(self) -> str:
        # One line: the rate is a submodule, and nn.Module would show it as a child.
        return f"{type(self).__name__}({self.extra_repr()}, p={self.p:g})"
