"""The rate of weights with additive noise: p follows from a learned variance and from the weights themselves."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptive_dropout.rates.kinds import Rate

__all__ = ["LearnedVariance"]


class LearnedVariance(Rate):
    """The rate of each weight theta of a module under noise of a learned variance sigma^2.

    As for multiplicative noise, alpha = p / (1 - p) = sigma^2 / theta^2, so p = sigma^2 / (sigma^2 + theta^2). The
    learned parameter is ``log_variance``, ln sigma^2, and not alpha: where a large alpha multiplies theta, the gradient
    of theta is mostly noise. The float ``p`` is the mean over the weights.

    It stays float32 when the model is cast, and `rate_param_groups` exempts it from weight decay, which would pull
    sigma to 1.

    Args:
        owner: a module with a parameter ``weight``; this becomes its rate.
        start: the initial ln sigma^2.

    Source: Molchanov, Ashukha and Vetrov (2017), section 4.1.
    """

    writer = "the optimizer"

    def __init__(self, owner: nn.Module, start: float = -10.0) -> None:
        super().__init__()
        self._owner = (owner,)  # in a tuple, since a module assigned here would become a submodule
        self.log_variance = nn.Parameter(torch.full_like(self._weight, start, dtype=torch.float32))

    @property
    def logit(self) -> Tensor:
        """ln alpha, which is the logit of p; float32, of the shape of the weight; its gradient reaches both."""
        weight = self._weight
        # The smallest normal number is added, so that a weight of 0 has a logit.
        return self.log_variance - (weight.square() + torch.finfo(weight.dtype).tiny).log()

    @property
    def value(self) -> Tensor:  # type: ignore[override]  # computed here, stored in the other rates
        """p as a float32 tensor in [0, 1], of the shape of the weight; its gradient reaches both parameters."""
        return torch.sigmoid(self.logit)

    @property
    def variance(self) -> Tensor:
        """sigma^2, of the shape of the weight."""
        return self.log_variance.exp()

    @property
    def _weight(self) -> Tensor:
        weight = self._owner[0].weight
        assert isinstance(weight, Tensor)
        return weight if weight.dtype == torch.float64 else weight.float()

    def _read(self) -> float:
        return self.value.detach().mean().item()
