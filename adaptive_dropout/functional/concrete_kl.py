"""The divergence of concrete dropout, from the logit of p, so that it stays finite where p rounds to 0 or 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["concrete_kl"]

HIGHEST = math.log(2.0**24)  # the logit of the float32 nearest to 1


def concrete_kl(weights: Sequence[Tensor], logit: Tensor, units: int, length_scale: float) -> Tensor:
    """Return l^2 / 2 |W|^2 / (1 - p) - K H(p), in nats for the whole training set; 0-dim, float32 at least.

    H(p) is the entropy of one mask element. The first term is capped where 1 / (1 - p) reaches 2^24, so that no
    gradient is infinite; the second one then leads the logit back.

    Args:
        weights: W, in parts of any shape, as it is after the mask's division by 1 - p.
        logit: of p, 0-dim.
        units: K, how many elements of the mask are drawn for one input: features, or channels.
        length_scale: l, of the prior of the weights; the larger, the smaller they are kept.

    Source: Gal, Hron and Kendall (2017), equations 2 to 4.
    """
    logit = logit.to(torch.promote_types(logit.dtype, torch.float32))
    flat = [part.flatten().to(logit.dtype) for part in weights]
    squared = torch.stack([part.dot(part) for part in flat]).sum()  # a copy less than square() of a wide layer
    inverse_keep = (-logsigmoid(-logit.clamp(max=HIGHEST))).exp()
    entropy = -(torch.sigmoid(logit) * logsigmoid(logit) + torch.sigmoid(-logit) * logsigmoid(-logit))
    return length_scale**2 / 2 * squared * inverse_keep - units * entropy
