"""Gaussian noise: standard normals made of two words each, and ``x (offset + std e)``."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import (
    differentiate,
    differentiating,
    in_dual_level,
    on_kernels,
    run,
    run_backward,
    run_slope,
)
from adaptive_dropout.noise.philox import lanes_in_order, word_blocks
from adaptive_dropout.noise.settings import GAUSSIAN, Key, OfP, Settings, as_drawn, as_tensors, rounded_sqrt, work_dtype

__all__ = [
    "ALONE",
    "box_muller",
    "gaussian",
    "gaussian_by_kernel",
    "gaussian_learned",
    "gaussian_of_p",
    "gaussian_reference",
    "normals",
]

# Polynomials instead of library functions, whose last bits differ between backends. They are fitted to minimise the
# largest relative error: sin (1.5e-6) and cos (1.2e-5) of an angle in [-pi/4, pi/4], counted in steps of pi/2048, and
# -ln(1 + f) / f (7.4e-6) for 1 + f in [sqrt(1/2), sqrt(2)]. Lowest power first.
SIN = (3.1415879189 * 2.0**-11, -5.1663843603 * 2.0**-33, 2.4940777383 * 2.0**-55)  # of t^2, times t
COS = (0.9999882169, -4.9316980592 * 2.0**-22, 3.9316543644 * 2.0**-44)  # of t^2
LN = (-1.0000045588, 0.4999021756, -0.3325802358, 0.2540326967, -0.2205593581, 0.1429207082)
LN_2 = 0.69314718056
ALONE = np.array(((0.0,), (1.0,)), np.float32)  # the settings of x e
SQRT_HALF = 0.70710676908493042  # the float32 next to sqrt(1/2)


def gaussian(x: Tensor, settings: Settings, key: Key) -> Tensor:
    """Return ``x (offset + std e)`` with standard normal e; the settings are those of `settings.GAUSSIAN`.

    Its gradient reaches ``x``, to any order and in forward mode. Kernels save nothing of the size of ``x``.
    """
    if not on_kernels(x):
        return gaussian_reference(x, settings, key)
    return gaussian_by_kernel(x, settings, key)


def gaussian_by_kernel(x: Tensor, settings: Settings, key: Key) -> Tensor:
    """Return the same for an ``x`` of which `on_kernels` is known to be true."""
    if differentiating(x):
        y: Tensor = _Gaussian.apply(x, settings, key)
        return y
    return _run(x, settings, key)


def gaussian_learned(x: Tensor, offset: Tensor, std: Tensor, key: Key) -> Tensor:
    """Return the same for an ``offset`` and a ``std`` of one shape, which broadcast over ``x``.

    Gradients reach ``x`` and ``std``, to any order and in forward mode. Kernels save ``x`` itself for them, if ``std``
    gets one.
    """
    if on_kernels(x):
        y: Tensor = _LearnedGaussian.apply(x, offset, std, key)
        return y
    return gaussian_reference(x, torch.stack((offset, std)), key)


def gaussian_of_p(x: Tensor, p: Tensor, key: Key) -> Tensor:
    """Return ``x`` times the noise of `settings.GAUSSIAN` for a ``p`` that gets a gradient.

    A 0-dim ``p`` on a device is read and differentiated by kernels.
    """
    on_device = x.is_cuda and p.dim() == 0 and on_kernels(x) and not in_dual_level()
    y: Tensor = _GaussianOfP.apply(x, p, key) if on_device else _of_p(key)(x, p)
    return y


def gaussian_reference(x: Tensor, settings: Settings, key: Key) -> Tensor:
    """Return the same as `gaussian` in torch operations."""
    table, key = as_tensors(x, settings, key)
    e = normals(key, x.numel()).reshape(x.shape).to(work_dtype(x))
    return (x * (table[0] + table[1] * e)).to(x.dtype)


def normals(key: Tensor, n: int) -> Tensor:
    """Return the standard normals of the positions 0 to ``n`` - 1; float32, (n,)."""
    pairs = [box_muller(word) for word in word_blocks(key, n)]
    return lanes_in_order([e for pair in pairs for e in pair], n)


def box_muller(word: Tensor) -> tuple[Tensor, Tensor]:
    """Return two independent standard normals for each word; float32, at most 5.4 in size.

    The high 20 bits give the radius, the next 10 the angle within a quarter turn and the last two the signs. The 4096
    angles are evenly spaced, so the average of a smooth function over them is its average over the circle.

    Source: Box and Muller (1958).
    """
    radius = rounded_sqrt(_minus_log(((word >> 12).float() + 0.5) * 2.0**-20))  # its square is 1 on average
    t = (word >> 2 & 1023).float() - 511.5
    cos, sin = radius * _polynomial(COS, t * t), radius * (t * _polynomial(SIN, t * t))
    return _signed(cos - sin, word), _signed(cos + sin, word >> 1)


def _signed(size: Tensor, word: Tensor) -> Tensor:
    return torch.where(word & 1 == 1, -size, size)


def _minus_log(u: Tensor) -> Tensor:
    """Return -ln u of a float32 u = 2^n (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); the relative error is below 1e-5."""
    mantissa, exponent = torch.frexp(u)  # in [1/2, 1)
    low = mantissa < SQRT_HALF
    n = exponent.float() - low.float()
    f = torch.where(low, 2 * mantissa, mantissa) - 1
    return f * _polynomial(LN, f) - n * LN_2


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def _run(x: Tensor, settings: Settings, key: Key) -> Tensor:
    y = run("gaussian", x, settings, key)
    return gaussian_reference(x, settings, key) if y is None else y


class _Gaussian(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: Settings, key: Key) -> Tensor:
        ctx.noise = settings, key  # a few numbers, without gradient
        return _run(x, settings, key)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        settings, key = ctx.noise
        return gaussian(gradient, as_drawn(settings), key), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return gaussian(tangent, *ctx.noise)


class _LearnedGaussian(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, offset: Tensor, std: Tensor, key: Key) -> Tensor:
        saved = (x if ctx.needs_input_grad[2] else None, offset, std)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)
        ctx.key = key
        ctx.input = weakref.ref(x)  # for jvp, which runs before the caller of apply can release x
        return _run(x, torch.stack((offset, std)), key)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, offset, std = ctx.saved_tensors
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = gaussian_learned(gradient, offset, std, ctx.key)
        if not ctx.needs_input_grad[2]:
            return to_x, None, None, None
        work = work_dtype(x)
        products = gradient.to(work) * gaussian(x.to(work), ALONE, ctx.key)
        return to_x, None, products.sum_to_size(std.shape).to(std.dtype), None

    @staticmethod
    def jvp(ctx: Any, x_tangent: Tensor | None, _: None, std_tangent: Tensor | None, *__: None) -> Tensor:
        _, offset, std = ctx.saved_tensors
        x = ctx.input()
        change = torch.zeros_like(x) if x_tangent is None else gaussian_learned(x_tangent, offset, std, ctx.key)
        return change if std_tangent is None else (change + gaussian(x, ALONE, ctx.key) * std_tangent).to(x.dtype)


class _GaussianOfP(Function):
    """`gaussian_of_p` on a device: one kernel forwards, and two backwards, of which one adds up the sums."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: Tensor, key: Key) -> Tensor:
        ctx.save_for_backward(x, p)
        ctx.key = key
        return _run(x, OfP(p.detach(), GAUSSIAN), key)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, p = ctx.saved_tensors
        if not torch.is_grad_enabled():
            settings = OfP(p, GAUSSIAN)
            if not ctx.needs_input_grad[1]:
                return gaussian(gradient, settings, ctx.key), None, None
            results = run_backward("gaussian_backward", (x, gradient), settings, ctx.key, ())
            slope = run_slope("gaussian_slope", results[1], p, ()) if results is not None else None
            if results is not None and slope is not None:
                return results[0], slope, None
        return *differentiate(_of_p(ctx.key), (x, p), ctx.needs_input_grad[:2], gradient), None


def _of_p(key: Key) -> Callable[[Tensor, Tensor], Tensor]:
    def call(x: Tensor, p: Tensor) -> Tensor:
        offset, std = GAUSSIAN.table(p.to(work_dtype(x))).unbind()
        return gaussian_learned(x, offset, std, key)

    return call
