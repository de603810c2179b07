"""Noise that keeps or drops: inverted dropout by element and by channel, and its form for SELU networks.

A 16-bit integer is drawn for each mask entry, whatever the dtype of ``x``, and compared with p, rounded to a multiple
of 2^-16. The scale uses the rounded p, so that the mean is exact. Uniform numbers in bfloat16 would come in steps of
1/256, and drop 0.003 at p = 0.001. The bits are those of `adaptive_dropout.noise`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from adaptive_dropout.functional.inputs import as_given, as_number, as_p, channel_shape, check_input, is_known_zero
from adaptive_dropout.noise.backend import kernels_for, on_kernels, readable
from adaptive_dropout.noise.keys import draw_key, draw_plainly
from adaptive_dropout.noise.mask import SMALL, SMALL_SHARED, mask, mask_by_kernel, mask_drawn, mask_small
from adaptive_dropout.noise.philox import LEVELS
from adaptive_dropout.noise.replica import get_replica
from adaptive_dropout.noise.settings import (
    ALPHA,
    BERNOULLI,
    Key,
    Law,
    OfP,
    Settings,
    read_by_kernel,
    threshold,
    without_shifts,
    work_dtype,
)

__all__ = [
    "alpha_dropout",
    "draw",
    "drop_path",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "lost_and_kept",
]


def dropout(
    x: Tensor,
    p: float | Tensor,
    inplace: bool = False,
    noise_shape: tuple[int, ...] | None = None,
    key: Key | None = None,
) -> Tensor:
    """Zero each element of ``x`` with probability ``p`` and multiply the others by ``1 / (1 - p)``.

    Mean x, variance x^2 p / (1 - p). p = 0 is the identity: it returns ``x`` itself and draws nothing, as in torch.
    p = 1 gives zeros. No gradient reaches ``p``.

    Args:
        x: any shape, floating point.
        p: in [0, 1]; a tensor that broadcasts to ``x`` gives each element its own. Its values are checked on a CPU
            only, because reading them would wait for another device.
        inplace: write the result into ``x``.
        noise_shape: shape of the mask, broadcast over ``x``; by default that of ``x``.
        key: what the mask is made of: 64 bits, a number or a 0-dim int64 tensor on the device of ``x``. By default one
            is drawn from torch's generator. The package's page says how to use it.

    Raises:
        RuntimeError: ``x`` is not floating point.
        TypeError: ``key`` is neither a whole number nor a tensor.
        ValueError: ``p`` is outside [0, 1], or a tensor that requires a gradient; or ``key`` is no key.

    Source: Srivastava et al. (2014), section 4, in the inverted form, which leaves evaluation unchanged.
    """
    check_input(x)
    number = as_number(p)
    if key is not None:
        key = as_given(key, x)
    if is_known_zero(p, number):
        return x
    if noise_shape is None:
        return _drop(x, p, number, inplace, key)
    shared = _count_shared(x, p, noise_shape)
    if shared is not None:
        return mask_by_kernel(x, *draw(x, p, number, key=key), inplace, shared)
    y = None
    if number is not None and readable(x) and kernels_for(x) and 0 < math.prod(noise_shape) <= SMALL_SHARED:
        key = draw_key(x) if key is None else key
        y = mask_small(x, *_threshold_and_scale(number), key, noise_shape)
    if y is None:
        y = (x * _drop(x.new_ones(noise_shape, dtype=work_dtype(x)), p, number, key=key)).to(x.dtype)
    return x.copy_(y) if inplace else y


def dropout1d(x: Tensor, p: float | Tensor, inplace: bool = False, key: Key | None = None) -> Tensor:
    """Drop whole channels of ``x``, (batch, channels, length) or (channels, length); otherwise as `dropout`.

    Source: Tompson et al. (2015), section 3.2, for one spatial dimension.
    """
    return dropout(x, p, inplace, channel_shape(x, 1), key)


def dropout2d(x: Tensor, p: float | Tensor, inplace: bool = False, key: Key | None = None) -> Tensor:
    """Drop whole channels of ``x``, (batch, channels, height, width); otherwise as `dropout`.

    Source: Tompson et al. (2015), section 3.2.
    """
    return dropout(x, p, inplace, channel_shape(x, 2), key)


def dropout3d(x: Tensor, p: float | Tensor, inplace: bool = False, key: Key | None = None) -> Tensor:
    """Drop whole channels of ``x``, (batch, channels, d, h, w) or (channels, d, h, w); otherwise as `dropout`.

    Source: Tompson et al. (2015), section 3.2, for three spatial dimensions.
    """
    return dropout(x, p, inplace, channel_shape(x, 3), key)


def drop_path(x: Tensor, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Drop whole examples of ``x``, (batch, ...), at the end of a residual branch; otherwise as `dropout`.

    Source: Huang et al. (2016), section 3, drawn for each example instead of each batch.
    """
    return dropout(x, p, noise_shape=tuple(x.shape[:1]) + (1,) * (x.dim() - 1), key=key)


def alpha_dropout(
    x: Tensor,
    p: float | Tensor,
    inplace: bool = False,
    noise_shape: tuple[int, ...] | None = None,
    key: Key | None = None,
) -> Tensor:
    """Set elements of ``x`` to SELU's saturation value a' with probability ``p``, then shift and scale.

    y = A (m x + (1 - m) a') + B with A = (q + a'^2 q p)^(-1/2), B = -A p a' and q = 1 - p: an input with mean 0 and
    variance 1 keeps both. p = 0 is the identity, p = 1 gives zeros. No gradient reaches ``p``. Arguments and errors
    are those of `dropout`.

    Source: Klambauer et al. (2017), "Alpha Dropout" in section 2.
    """
    check_input(x)
    number = as_number(p)
    if key is not None:
        key = as_given(key, x)
    if is_known_zero(p, number):
        return x
    shared = 1 if noise_shape is None else _count_shared(x, p, noise_shape)
    if shared is not None:
        return _mask(x, *draw(x, p, number, ALPHA, key), inplace, shared)
    ones = x.new_ones(noise_shape or x.shape, dtype=work_dtype(x))
    settings, key = draw(ones, p, number, ALPHA, key)
    y = (x * mask(ones, without_shifts(settings), key) + mask(0 * ones, settings, key)).to(x.dtype)
    return x.copy_(y) if inplace else y


def feature_alpha_dropout(x: Tensor, p: float | Tensor, inplace: bool = False, key: Key | None = None) -> Tensor:
    """Apply `alpha_dropout` to whole channels of ``x``, (batch, channels, ...) with at least 2 dimensions."""
    if x.dim() < 2:
        raise RuntimeError(f"feature_alpha_dropout takes input of 2 dimensions or more, but got shape {tuple(x.shape)}")
    return alpha_dropout(x, p, inplace, tuple(x.shape[:2]) + (1,) * (x.dim() - 2), key)


def draw(
    x: Tensor, p: float | Tensor, number: float | None, law: Law = BERNOULLI, key: Key | None = None
) -> tuple[Settings, Key]:
    """Return the settings of ``law`` for noise on ``x``, and ``key``, or a new one; ``number`` is `as_number` of p."""
    if number is not None and readable(x) and law.numbers is not None:
        numbers = law.numbers(number, np.float64 if x.dtype == torch.float64 else np.float32)
        return numbers, draw_key(x) if key is None else key
    if isinstance(p, Tensor) and p.requires_grad:
        raise ValueError("a mask of zeros and ones passes no gradient to p; use gaussian_dropout or concrete_dropout")
    if x.is_cuda and on_kernels(x):
        ready = isinstance(p, Tensor) and p.is_cuda and not p.dim()
        settings = read_by_kernel(p if ready else as_p(p, x), law)  # type: ignore[arg-type]
        return settings, draw_plainly(x) if key is None else key
    return law.table(as_p(p, x)), draw_key(x) if key is None else key


def lost_and_kept(x: Tensor, p: float | Tensor) -> tuple[Tensor, Tensor]:
    """Return how many of 65536 numbers are dropped, and 1 - p, never 0, in the dtype of the noise of ``x``."""
    return threshold(as_p(p, x))


def _drop(x: Tensor, p: float | Tensor, number: float | None, inplace: bool = False, key: Key | None = None) -> Tensor:
    """Return ``x`` under a new mask, by the fastest of three routes; ``number`` is `as_number` of ``p``."""
    y = None
    if number is not None and on_kernels(x):
        if kernels_for(x) is None:
            if key is None and not get_replica():  # else the bits have to be those of a key
                y = mask_drawn(x, *_threshold_and_scale(number))
        elif x.is_cpu and 0 < x.numel() <= SMALL:
            key = draw_key(x) if key is None else key
            y = mask_small(x, *_threshold_and_scale(number), key)
    if y is None:
        return _mask(x, *draw(x, p, number, key=key), inplace)
    return x.copy_(y) if inplace else y


def _mask(x: Tensor, settings: Settings, key: Key, inplace: bool, shared: int = 1) -> Tensor:
    """Return `mask` of ``x``; settings that `draw` made for a kernel say that one may read ``x``."""
    of_kernel = isinstance(settings, OfP)
    return (mask_by_kernel if of_kernel else mask)(x, settings, key, inplace, shared)


def _threshold_and_scale(p: float) -> tuple[int, float]:
    dropped = round(p * LEVELS)
    return dropped, LEVELS / max(LEVELS - dropped, 1)


def _count_shared(x: Tensor, p: float | Tensor, noise_shape: tuple[int, ...]) -> int | None:
    """Return how many neighbours of ``x`` share one element of a mask of ``noise_shape``; None if they are not equal.

    A kernel on a device then multiplies by the mask while it draws it. On a CPU a mask of its own is as fast.
    """
    if not x.is_cuda or not on_kernels(x) or not x.numel() or len(noise_shape) != x.dim():
        return None
    kept = next((dim for dim, size in enumerate(noise_shape) if size != x.shape[dim]), x.dim())
    trailing = all(size == 1 for size in noise_shape[kept:])
    return math.prod(x.shape[kept:]) if trailing and not (isinstance(p, Tensor) and p.dim()) else None
