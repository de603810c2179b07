"""Noise for attention: it drops keys before the softmax, or whole heads after it, and never all of them.

Each key or head has a number u, uniform in (0, 1), and is dropped where u <= p. Where all would be dropped, the one
with the largest u - p stays: one of n, each as likely as the others. So one of n is dropped with probability
p - p^n / n, and at p = 1 one is left. u has 16 bits; of two that share the largest one both stay.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from adaptive_dropout.functional.antithetic import draw_pair
from adaptive_dropout.functional.inputs import as_given, as_number, check_input, is_known_zero
from adaptive_dropout.noise.philox import LEVELS
from adaptive_dropout.noise.settings import Key

__all__ = ["drop_head", "drop_key"]

MASKED = 1000.0
"""A key this far below the best one counts as masked: masks are -inf, the lowest number of a dtype, -1e9 or -1e4."""


def drop_key(
    scores: Tensor, p: float | Tensor, noise_shape: tuple[int, ...] | None = None, key: Key | None = None
) -> Tensor:
    """Set ``scores``, (..., queries, keys), to -inf with probability ``p``, before the softmax; no gradient reaches p.

    The softmax divides the weight of a dropped key among the others, so nothing is scaled. The mean over masks is not
    the attention without noise: large weights fall, small ones rise. Each query keeps a key, so no row of the softmax
    is NaN that was not one before. p = 0 is the identity and returns ``scores`` itself.

    Scores that hide a key (-inf, or more than 1000 below the best of their row) are no keys: they are not the one that
    stays. ``scores`` may also be the mask to add to any fused attention, of zeros and -inf, (batch, heads, queries,
    keys): ``scaled_dot_product_attention(q, k, v, 0.0, mask=drop_key(mask, p))``.

    Args:
        scores: of at least two dimensions, floating point, with what hides keys already in them.
        p: in [0, 1]; a tensor that broadcasts to the noise gives each entry its own.
        noise_shape: shape of the noise, broadcast over ``scores``; by default theirs. (batch, 1, 1, keys) drops the
            same keys for all heads and queries.
        key: of the noise, as in `dropout`.

    Raises:
        RuntimeError: ``scores`` has fewer than two dimensions, or is not floating point.
        ValueError: ``p`` is outside [0, 1], or a tensor that requires a gradient.

    Source: Li et al. (2023), "DropKey for vision transformer". There all keys of a query may be dropped.
    """
    check_input(scores)
    if scores.dim() < 2:
        raise RuntimeError(f"drop_key takes scores (..., queries, keys), but got shape {tuple(scores.shape)}")
    key = as_given(key, scores)
    if is_known_zero(p, as_number(p)) or not scores.numel():
        return scores
    margin = _draw_margin(scores if noise_shape is None else scores.new_empty(noise_shape), p, key)
    seen = scores.detach()
    shown = seen >= seen.amax(-1, keepdim=True) - MASKED
    last = shown & (margin >= torch.where(shown, margin, -1.0).amax(-1, keepdim=True))
    return scores.masked_fill(~((margin > 0) | last), -math.inf)


def drop_head(x: Tensor, p: float | Tensor, dim: int = 1, key: Key | None = None) -> Tensor:
    """Zero whole heads of an example with probability ``p``, multiply the others by heads / heads kept.

    The heads of each example sum to as much as before, and the mean over masks is exactly ``x`` for every p, 1 too: one
    head is left then, times the number of heads. p = 0 is the identity and returns ``x`` itself. No gradient reaches
    ``p``.

    Args:
        x: (batch, heads, time, channels), what each head attended to, before the output layer mixes them.
        p: in [0, 1]; a tensor that broadcasts to (batch, heads, 1, 1) gives each head its own, and the mean is then not
            exact.
        dim: the dimension of the heads; 2 for (batch, time, heads, channels).
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` has fewer than two heads, no such dimension beside that of the batch, or is not floating
            point.
        ValueError: ``p`` is outside [0, 1], or a tensor that requires a gradient.

    Source: Zhou et al. (2020), "Scheduled DropHead". There all heads may be dropped, which divides by 0.
    """
    check_input(x)
    if x.dim() < 2 or not -x.dim() <= dim < x.dim() or dim % x.dim() == 0 or x.shape[dim] < 2:
        raise RuntimeError(
            f"drop_head takes (batch, ...) with two heads or more in dimension {dim}, but got shape {tuple(x.shape)}"
        )
    key = as_given(key, x)
    if is_known_zero(p, as_number(p)):
        return x
    heads, shape = x.shape[dim], [1] * x.dim()
    shape[0], shape[dim] = len(x), heads
    margin = _draw_margin(x.new_empty(shape), p, key)
    kept = (margin > 0) | (margin >= margin.amax(dim, keepdim=True))
    return (x * (kept * (heads / kept.sum(dim, keepdim=True, dtype=margin.dtype)))).to(x.dtype)


def _draw_margin(like: Tensor, p: float | Tensor, key: Key | None) -> Tensor:
    """Return u - p for each element of ``like``; the largest is above 0 wherever any is."""
    if isinstance(p, Tensor) and p.requires_grad:
        raise ValueError("keys and heads that are dropped or not pass no gradient to p; use a settable rate")
    pair = draw_pair(like, p, key)
    return pair.uniform() - pair.lost / LEVELS
