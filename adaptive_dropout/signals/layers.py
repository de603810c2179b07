"""The dropout layers that signals are measured in: those with a settable rate, and Gaussian noise in place of masks.

With Gaussian noise a loss can be differentiated with respect to the rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from adaptive_dropout.contexts import replaced
from adaptive_dropout.functional.inputs import channel_shape
from adaptive_dropout.functional.recurrent import locked_shape
from adaptive_dropout.modules import (
    AlphaDropout,
    BernoulliDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropPath,
    EmbeddingDropout,
    FeatureAlphaDropout,
    LockedDropout,
    NoiseLayer,
    Rated,
    WeightDrop,
)
from adaptive_dropout.noise.settings import ALPHA_PRIME, ALPHA_PRIME_SQUARED
from adaptive_dropout.rates import SettableRate, named_rates

__all__ = ["MASKED", "Steered", "approximated", "gaussian_noise", "steered_layers"]

MASKED = (AlphaDropout, BernoulliDropout, DropPath, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout)
"""Layers whose noise is a mask: by itself it passes no gradient to p, and it takes a p of shape (batch, 1, ...)."""

SHARED = (EmbeddingDropout, LockedDropout, WeightDrop)
"""Layers whose mask is shared by the times of a sequence, or by all examples."""


class Steered(NamedTuple):
    """A dropout layer with a settable rate.

    Args:
        path: the layer's name in the model.
        layer: the layer.
        rate: the name of its rate, which other layers may share.
    """

    path: str
    layer: Rated
    rate: str


def steered_layers(model: nn.Module) -> list[Steered]:
    """Return the layers of ``model`` with a settable rate, in the order of its modules.

    Raises:
        ValueError: there are none.
    """
    names = {id(rate): name for name, rate in named_rates(model, SettableRate)}
    layers = [(path, module) for path, module in model.named_modules() if isinstance(module, Rated)]
    found = [Steered(path, layer, names[id(layer.rate)]) for path, layer in layers if id(layer.rate) in names]
    if not found:
        raise ValueError(f"there is no settable rate in {type(model).__name__}; give it a layer such as Dropout(0.3)")
    return found


@contextmanager
def approximated(layers: Sequence[Steered], p: Mapping[str, Tensor]) -> Iterator[None]:
    """Temporarily let ``layers`` draw `gaussian_noise`, each with the ``p`` of its rate: 0-dim, in (0, 1).

    Raises:
        TypeError: there is no Gaussian form of a layer's noise.
    """
    with ExitStack() as stack:
        for path, layer, rate in layers:
            if isinstance(layer, EmbeddingDropout):
                stack.enter_context(replaced(layer, noise=partial(_noise_of_words, layer, p[rate])))
                continue
            known = (*MASKED, *SHARED)
            if not isinstance(layer, NoiseLayer) or not (layer.learnable or isinstance(layer, known)):
                raise TypeError(
                    f"the noise of {path!r}, a {type(layer).__name__}, passes no gradient to its rate; "
                    "make it learnable, or use Dropout or GaussianDropout"
                )
            stack.enter_context(replaced(layer, noise=partial(_noise, layer, p[rate])))
        yield


def gaussian_noise(layer: NoiseLayer, x: Tensor, p: Tensor) -> Tensor:
    """Return ``x``, (batch, ...), with Gaussian noise of the mean and variance of the layer's own, differentiable in p.

    For dropout x (1 + sqrt(p / q) e), with q = 1 - p and one e for each entry of the mask; for alpha dropout
    A (q x + sqrt(p q) (x - a') e), with A and a' as in `functional.alpha_dropout`. A layer whose own noise passes a
    gradient to p keeps it.

    Source: Wang and Manning (2013), section 3, the Gaussian approximation of dropout noise.
    """
    if not isinstance(layer, (*MASKED, *SHARED)):
        return type(layer).noise(layer, x, p)
    work = torch.promote_types(x.dtype, torch.float32)
    e = torch.randn(_mask_shape(layer, x), dtype=work, device=x.device)
    p = p.to(work)
    q = 1 - p
    if isinstance(layer, (AlphaDropout, FeatureAlphaDropout)):
        a = (q * (1 + ALPHA_PRIME_SQUARED * p)).rsqrt()
        return (a * (q * x + (p * q).sqrt() * (x - ALPHA_PRIME) * e)).to(x.dtype)
    return (x * (1 + (p / q).sqrt() * e)).to(x.dtype)


def _noise(layer: NoiseLayer, p: Tensor, x: Tensor, _: Tensor) -> Tensor:
    return gaussian_noise(layer, x, p)


def _noise_of_words(layer: EmbeddingDropout, p: Tensor, x: Tensor, tokens: Tensor, _: Tensor) -> Tensor:
    work = torch.promote_types(x.dtype, torch.float32)
    e = torch.randn((layer.num_embeddings, 1), dtype=work, device=x.device)[tokens]
    return (x * (1 + (p / (1 - p)).sqrt().to(work) * e)).to(x.dtype)


def _mask_shape(layer: NoiseLayer, x: Tensor) -> tuple[int, ...]:
    if isinstance(layer, FeatureAlphaDropout):
        return tuple(x.shape[:2]) + (1,) * (x.dim() - 2)
    if isinstance(layer, LockedDropout):
        return locked_shape(x, layer.batch_first)
    if isinstance(layer, DropPath):
        return tuple(x.shape[:1]) + (1,) * (x.dim() - 1)
    for dims, kind in ((1, Dropout1d), (2, Dropout2d), (3, Dropout3d)):
        if isinstance(layer, kind):
            return channel_shape(x, dims)
    return tuple(x.shape)
