"""Gaussian noise in place of masks, so that a loss can be differentiated with respect to the rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor

from adaptive_dropout.functional.bernoulli import ALPHA_PRIME
from adaptive_dropout.functional.shapes import channel_shape
from adaptive_dropout.modules import (
    AlphaDropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropPath,
    FeatureAlphaDropout,
    NoiseLayer,
)
from adaptive_dropout.signals.aside import replaced
from adaptive_dropout.signals.steered import MASKED, Steered

__all__ = ["relaxed", "relaxed_noise"]


@contextmanager
def relaxed(layers: Sequence[Steered], p: Mapping[str, Tensor]) -> Iterator[None]:
    """Let ``layers`` draw `relaxed_noise` for a while, each with the ``p`` of its rate: 0-dim, in (0, 1).

    Raises:
        TypeError: a layer's noise has no relaxed form.
    """
    with ExitStack() as stack:
        for path, layer, rate in layers:
            if not (layer.learnable or isinstance(layer, MASKED)):
                raise TypeError(
                    f"the noise of {path!r}, a {type(layer).__name__}, passes no gradient to its rate; "
                    "make it learnable, or use Dropout or GaussianDropout"
                )
            stack.enter_context(replaced(layer, noise=partial(_noise, layer, p[rate])))
        yield


def relaxed_noise(layer: NoiseLayer, x: Tensor, p: Tensor) -> Tensor:
    """Return ``x``, (batch, ...), with Gaussian noise of the mean and variance of the layer's own, differentiable in p.

    For dropout x (1 + sqrt(p / q) e), with q = 1 - p and one e for each entry of the mask; for alpha dropout
    A (q x + sqrt(p q) (x - a') e), with A and a' as in `functional.alpha_dropout`. Noise that passes a gradient to p
    is taken as it is.

    Source: Wang and Manning (2013), section 3, the Gaussian approximation of dropout noise.
    """
    if not isinstance(layer, MASKED):
        return type(layer).noise(layer, x, p)
    work = torch.promote_types(x.dtype, torch.float32)
    e = torch.randn(_mask_shape(layer, x), dtype=work, device=x.device)
    p = p.to(work)
    q = 1 - p
    if isinstance(layer, (AlphaDropout, FeatureAlphaDropout)):
        a = (q * (1 + ALPHA_PRIME**2 * p)).rsqrt()
        return (a * (q * x + (p * q).sqrt() * (x - ALPHA_PRIME) * e)).to(x.dtype)
    return (x * (1 + (p / q).sqrt() * e)).to(x.dtype)


def _noise(layer: NoiseLayer, p: Tensor, x: Tensor, _: Tensor) -> Tensor:
    return relaxed_noise(layer, x, p)


def _mask_shape(layer: NoiseLayer, x: Tensor) -> tuple[int, ...]:
    if isinstance(layer, FeatureAlphaDropout):
        return tuple(x.shape[:2]) + (1,) * (x.dim() - 2)
    if isinstance(layer, DropPath):
        return tuple(x.shape[:1]) + (1,) * (x.dim() - 1)
    for dims, kind in ((1, Dropout1d), (2, Dropout2d), (3, Dropout3d)):
        if isinstance(layer, kind):
            return channel_shape(x, dims)
    return tuple(x.shape)
