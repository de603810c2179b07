"""The concrete relaxation of a Bernoulli mask, which is soft so that p gets a gradient, and its divergence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from adaptive_dropout.functional.inputs import as_given, as_number, as_p, channel_shape, check_input, is_known_zero
from adaptive_dropout.noise.concrete import concrete
from adaptive_dropout.noise.keys import draw_key
from adaptive_dropout.noise.settings import Key

__all__ = [
    "concrete_dropout",
    "concrete_dropout1d",
    "concrete_dropout2d",
    "concrete_dropout3d",
    "concrete_kl",
]

HIGHEST = math.log(2.0**24)  # the logit of the float32 nearest to 1


def concrete_dropout(
    x: Tensor,
    p: float | Tensor,
    temperature: float = 0.1,
    noise_shape: tuple[int, ...] | None = None,
    key: Key | None = None,
) -> Tensor:
    """Multiply ``x`` by a soft mask that tends to 0 with probability ``p`` and is differentiable in ``p``.

    With z = sigmoid((logit p + logit u) / T) and u uniform in (0, 1), y = x (1 - z) / E[1 - z], so the mean is x
    at every temperature. The paper divides by 1 - p instead, which makes the mean 5 to 6 % too low at T = 2/3. The
    variance is x^2 ((M - T dM/dc) / M^2 - 1), with M = E[1 - z] and c = logit(1 - p). p = 0 is the identity, p = 1
    gives zeros.

    Args:
        x: any shape, floating point.
        p: in [0, 1]; 0-dim. A tensor is checked on a CPU only, because the check would wait for another device.
        temperature: T > 0, how soft the mask is.
        noise_shape: shape of the mask, broadcast over ``x``; by default that of ``x``.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` is not floating point.
        ValueError: ``p`` is outside [0, 1].

    Source: Gal, Hron and Kendall (2017), equation 5.
    """
    check_input(x)
    key = as_given(key, x)
    if is_known_zero(p, as_number(p)):
        return x
    p, key = as_p(p, x), draw_key(x) if key is None else key
    if noise_shape is None:
        return concrete(x, p, temperature, key)
    return (x * concrete(x.new_ones(noise_shape, dtype=p.dtype), p, temperature, key)).to(x.dtype)


def concrete_dropout1d(x: Tensor, p: float | Tensor, temperature: float = 2 / 3, key: Key | None = None) -> Tensor:
    """Apply `concrete_dropout` to whole channels of ``x``, (batch, channels, length) or (channels, length)."""
    return concrete_dropout(x, p, temperature, channel_shape(x, 1), key)


def concrete_dropout2d(x: Tensor, p: float | Tensor, temperature: float = 2 / 3, key: Key | None = None) -> Tensor:
    """Apply `concrete_dropout` to whole channels of ``x``, (batch, channels, height, width)."""
    return concrete_dropout(x, p, temperature, channel_shape(x, 2), key)


def concrete_dropout3d(x: Tensor, p: float | Tensor, temperature: float = 2 / 3, key: Key | None = None) -> Tensor:
    """Apply `concrete_dropout` to whole channels of ``x``, (batch, channels, d, h, w) or (channels, d, h, w)."""
    return concrete_dropout(x, p, temperature, channel_shape(x, 3), key)


def concrete_kl(weights: Sequence[Tensor], logit: Tensor, units: int, length_scale: float) -> Tensor:
    """Return l^2 / 2 |W|^2 / (1 - p) - K H(p), in nats for the whole training set; 0-dim, float32 at least.

    H(p) is the entropy of one mask element. It is computed from the logit of p, and so stays finite where p rounds to 0
    or 1. The first term is capped where 1 / (1 - p) reaches 2^24, so that no gradient is infinite; the second one then
    leads the logit back.

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
