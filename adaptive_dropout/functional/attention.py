"""Attention whose dropout rate may move: torch's takes p as a Python number, and compiles anew for each."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from adaptive_dropout.functional.bernoulli import dropout

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, p: float | Tensor, mask: Tensor | None = None
) -> Tensor:
    """Return softmax(query key^T / sqrt(channels)) value, with `dropout` on the weights of the softmax.

    Equal in distribution to `torch.nn.functional.scaled_dot_product_attention`, and equal in value at p = 0. Under
    ``torch.compile`` it is one graph whatever p is. The weights are stored, which takes memory in proportion to
    time x time. With dropout torch's stores them too on a CPU, where it is the slower of the two; on a GPU it has
    kernels that do not.

    Args:
        query: (..., time, channels).
        key: (..., other time, channels).
        value: (..., other time, value channels).
        p: in [0, 1]; a tensor that broadcasts to (..., time, other time) gives each weight its own. 0 in evaluation.
        mask: broadcasts to (..., time, other time); True where a query may look, or numbers to add to the scores.

    Raises:
        ValueError: ``p`` is outside [0, 1], or a tensor that requires a gradient.

    Source: Vaswani et al. (2017), equation 1; dropout on the weights as in their code.
    """
    scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)
    if mask is not None:
        scores = scores.where(mask, -math.inf) if mask.dtype is torch.bool else scores + mask
    return dropout(scores.softmax(-1), p) @ value
