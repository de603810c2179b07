"""`ContextualDropout`: a small network beside the layer gives each unit of each example a p of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptive_dropout.checks import check_count
from adaptive_dropout.functional import gaussian_dropout
from adaptive_dropout.modules.base import Proxy, record_call
from adaptive_dropout.rates import EffectiveRate, LearnedRate

__all__ = ["ContextualDropout", "ContextualDropout2d"]


class ContextualDropout(nn.Module):
    """Multiply by N(1, p / (1 - p)) in training, p = sigmoid(base + W2 relu(W1 x)). Input (batch, ..., features).

    W2 starts at 0, so that p starts the same for every input. All parts of p are learned by gradient. The loss of the
    data alone drives p to 0, so add a term that rewards noise, a function of `probability`. Of the published module
    this is the Gaussian form, without its learned prior and the divergence from it.

    ``rate`` has the mean p of the last training batch. ``base``, a `LearnedRate`, has the p of an input whose context
    adds nothing: weight decay of W1 and W2 pulls towards it, and `rate_param_groups` exempts the base itself.

    Args:
        features: size of the last dimension.
        p: where p starts, strictly between 0 and 1.
        reduction: the hidden layer has ``features`` / ``reduction`` units, at least 1.

    Raises:
        TypeError: ``features`` or ``reduction`` is not an integer.
        ValueError: one of them is less than 1, or p is not strictly between 0 and 1.

    Source: Fan et al. (2021), "Contextual dropout: an efficient sample-dependent dropout module", section 2.
    """

    def __init__(self, features: int, p: float = 0.1, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(check_count(features, "features") // check_count(reduction, "reduction"), 1)
        self.squeeze = nn.Linear(features, hidden, bias=False)
        self.excite = nn.Linear(hidden, features, bias=False)
        nn.init.zeros_(self.excite.weight)
        self.base = LearnedRate(p, (features,))
        self.rate = EffectiveRate(p)

    def probability(self, x: Tensor) -> Tensor:
        """Return p for each element of ``x``, float32, with gradient."""
        logit = self.excite(torch.relu(self.squeeze(x)))
        return torch.sigmoid(self.base.logit + logit.to(torch.promote_types(logit.dtype, torch.float32)))

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return ``x`` with noise as strong as ``p``."""
        return gaussian_dropout(x, p)

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input`` with noise in training mode, the very same tensor in eval mode."""
        if isinstance(input, Proxy):
            return record_call(self, input)
        if not self.training:
            return input
        p = self.probability(input)
        self.rate.observe(p)
        return self.noise(input, p)


class ContextualDropout2d(ContextualDropout):
    """`ContextualDropout` of whole channels of (batch, channels, height, width); the context is each channel's mean.

    Args:
        features: number of channels.
        p: as for `ContextualDropout`.
        reduction: as for `ContextualDropout`.
    """

    def probability(self, x: Tensor) -> Tensor:
        """Return p for each channel of each example; (batch, channels, 1, 1)."""
        return super().probability(x.mean((2, 3)))[:, :, None, None]

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return ``x`` with each channel multiplied by one number."""
        return (x * gaussian_dropout(torch.ones_like(p), p)).to(x.dtype)
