"""Gaussian dropout whose alpha is learned against a divergence: on units, and on the weights of a dense layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as torch_functional

from adaptive_dropout import functional as F
from adaptive_dropout.checks import check_count
from adaptive_dropout.modules.base import Penalised
from adaptive_dropout.modules.gaussian import GaussianDropout
from adaptive_dropout.modules.noisy_weight import NoisyWeight
from adaptive_dropout.rates import LearnedRate, Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["VariationalDropout", "VariationalLinear"]


class VariationalDropout(GaussianDropout, Penalised):
    """Multiply by N(1, alpha) in training, alpha = p / (1 - p) learned for the layer or for each unit. Any shape.

    A float makes a `LearnedRate` that starts there, with one alpha for the layer; ``LearnedRate(0.1, (300,))`` has one
    for each of 300 units. The loss of the data alone drives alpha to 0: add `adaptive_dropout.penalty` to it.

    Args:
        p: where the learned p starts, strictly between 0 and 1; or a schedule or rate.
        units: the number of units with noise in one example, for `kl`; repetitions over time or positions count once.
            Needed unless the rate is learned and of shape (units,).

    Raises:
        TypeError: ``units`` is not an integer.
        ValueError: ``units`` is less than 1.

    Source: Kingma, Salimans and Welling (2015), section 3.
    """

    divergence: Callable[[Tensor], Tensor] = staticmethod(F.exact_kl)
    """The function of ln alpha, in nats, that `kl` uses. The published `kingma_kl` holds for alpha <= 1 only."""

    def __init__(self, p: float | Schedule | Rate = 0.1, units: int | None = None) -> None:
        super().__init__(p)
        self.units = units if units is None else check_count(units, "units")

    def _rate_from(self, p: float) -> Rate:
        return LearnedRate(p)

    def kl(self) -> Tensor:
        """Return the divergence of the noise of all units, in nats; 0-dim, with gradient; 0 for a rate that is set.

        Raises:
            ValueError: the number of units is not known.
        """
        if not isinstance(self.rate, LearnedRate):
            return torch.zeros((), device=self.rate.value.device)
        ln_alpha = self.rate.logit
        units = self.units or (ln_alpha.numel() if ln_alpha.dim() == 1 else None)
        if units is None:
            raise ValueError(
                f"a divergence needs the number of units, but the rate has shape {tuple(ln_alpha.shape)}; "
                f"give it, as in {type(self).__name__}({self.p:g}, units=300)"
            )
        return self.divergence(ln_alpha).mean() * units


class VariationalLinear(NoisyWeight, nn.Linear):
    """`torch.nn.Linear` whose weights are multiplied by N(1, alpha) in training, each with an alpha that is learned.

    (..., in_features) -> (..., out_features). Each output draws its own noise, by the local reparameterisation. Add
    `adaptive_dropout.penalty` to the loss, without which alpha goes to 0. `SparseLinear` learns the variance instead of
    alpha, and thereby reaches the large alphas that drop weights.

    Args:
        in_features: of x.
        out_features: of y.
        bias: whether a bias is added, which has no noise.
        p: where p = alpha / (1 + alpha) starts, one for each weight; or a learned rate with a shape that broadcasts to
            (out_features, in_features): (in_features,) for one per column, () for one in all.

    Raises:
        TypeError: ``p`` is neither a number nor a learned rate.
        ValueError: ``p`` is not strictly between 0 and 1, or its shape does not broadcast to the weight.

    Source: Kingma, Salimans and Welling (2015), section 2.3 and, for alphas of single weights, section 3.3.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, p: float | LearnedRate = 0.1) -> None:
        super().__init__(in_features, out_features, bias)
        self.rate = p if isinstance(p, LearnedRate) else LearnedRate(p, (out_features, in_features))
        _check_broadcast(self.rate.logit, self.weight)

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return x W^T + b."""
        return torch_functional.linear(x, weight, bias)

    def variance(self) -> Tensor:
        """Return alpha theta^2."""
        return self.rate.logit.exp() * self.weight.to(self.rate.logit.dtype).square()


def _check_broadcast(logit: Tensor, weight: Tensor) -> None:
    sizes = zip(reversed(logit.shape), reversed(weight.shape), strict=False)
    if logit.dim() > weight.dim() or any(own not in (1, size) for own, size in sizes):
        raise ValueError(
            f"the rate has to broadcast to the weight, of shape {tuple(weight.shape)}, "
            f"but has shape {tuple(logit.shape)}"
        )
