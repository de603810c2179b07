"""Gaussian noise: standard normals made of two words each, and ``x (offset + std e)``."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import on_kernels, run, work_dtype
from adaptive_dropout.noise.philox import lanes_in_order, word_blocks

__all__ = ["box_muller", "gaussian", "gaussian_reference", "normals", "rounded_sqrt"]

# Polynomials instead of library functions, whose last bits differ between backends. They are fitted to minimise the
# largest relative error: sin (1.5e-6) and cos (1.2e-5) of an angle in [-pi/4, pi/4], counted in steps of pi/2048, and
# -ln(1 + f) / f (7.4e-6) for 1 + f in [sqrt(1/2), sqrt(2)]. Lowest power first.
SIN = (3.1415879189 * 2.0**-11, -5.1663843603 * 2.0**-33, 2.4940777383 * 2.0**-55)  # of t^2, times t
COS = (0.9999882169, -4.9316980592 * 2.0**-22, 3.9316543644 * 2.0**-44)  # of t^2
LN = (-1.0000045588, 0.4999021756, -0.3325802358, 0.2540326967, -0.2205593581, 0.1429207082)
LN_2 = 0.69314718056
SQRT_HALF = 0.70710676908493042  # the float32 next to sqrt(1/2)


def gaussian(x: Tensor, offset: Tensor, std: Tensor, key: Tensor) -> Tensor:
    """Return ``x (offset + std e)`` with standard normal e; ``offset`` and ``std``, of one shape, broadcast over ``x``.

    Gradients reach ``x`` and ``std``, to any order and in forward mode. Kernels save nothing of the size of ``x`` for
    them, except ``x`` itself where ``std`` gets a gradient.
    """
    y: Tensor = (_Gaussian.apply if on_kernels(x) else gaussian_reference)(x, offset, std, key)
    return y


def gaussian_reference(x: Tensor, offset: Tensor, std: Tensor, key: Tensor) -> Tensor:
    """Return the same in torch operations."""
    work = work_dtype(x)
    e = normals(key, x.numel()).reshape(x.shape).to(work)
    return (x * (offset.to(work) + std.to(work) * e)).to(x.dtype)


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


def rounded_sqrt(x: Tensor) -> Tensor:
    """Return the square root of ``x``; in float32 rounded correctly, as in the kernels."""
    return x.double().sqrt().to(x.dtype)  # MKL's float32 root has another last bit for 15 % of all numbers


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


class _Gaussian(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, offset: Tensor, std: Tensor, key: Tensor) -> Tensor:
        saved = (x if ctx.needs_input_grad[2] else None, offset, std, key)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)
        ctx.input = weakref.ref(x)  # for jvp, which runs before the caller of apply can release x
        y = run("gaussian", x, torch.stack((offset, std)), key)
        return gaussian_reference(x, offset, std, key) if y is None else y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, offset, std, key = ctx.saved_tensors
        to_x = gaussian(gradient, offset, std, key) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[2]:
            return to_x, None, None, None
        work = work_dtype(x)
        products = gradient.to(work) * _noise_alone(x.to(work), key)
        return to_x, None, products.sum_to_size(std.shape).to(std.dtype), None

    @staticmethod
    def jvp(ctx: Any, x_tangent: Tensor | None, _: None, std_tangent: Tensor | None, *__: None) -> Tensor:
        _, offset, std, key = ctx.saved_tensors
        x = ctx.input()
        change = torch.zeros_like(x) if x_tangent is None else gaussian(x_tangent, offset, std, key)
        return change if std_tangent is None else (change + _noise_alone(x, key) * std_tangent).to(x.dtype)


def _noise_alone(x: Tensor, key: Tensor) -> Tensor:
    """Return ``x e``."""
    zero, one = torch.tensor([0.0, 1.0], device=x.device)
    return gaussian(x, zero, one, key)
