"""Gaussian noise: standard normals made of two words each, and ``x (offset + std e)``."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import on_kernels, run, work_dtype
from adaptive_dropout.noise.philox import lanes_in_order, word_blocks

__all__ = ["box_muller", "gaussian", "gaussian_twin", "normals", "rounded_sqrt"]

# Polynomials in place of library functions, whose last bits differ between backends: sin(pi t) / t, cos(pi t), and
# (ln(1 + f) - f + f^2 / 2) / f^3 of f (Moshier, Cephes, logf). Lowest power first.
SIN = (
    3.1415927410,
    -5.1677126884,
    2.5501632690,
    -0.59925216436,
    0.082050353289,
    -0.0070283035748,
)  # of t^2
COS = (
    1.0,
    -4.9348020554,
    4.0587120056,
    -1.3352622986,
    0.23532544076,
    -0.025776322931,
    0.0018399977125,
)  # of t^2
LN = (
    3.3333331174e-1,
    -2.4999993993e-1,
    2.0000714765e-1,
    -1.6668057665e-1,
    1.4249322787e-1,
    -1.2420140846e-1,
    1.1676998740e-1,
    -1.1514610310e-1,
    7.0376836292e-2,
)
LN_2 = (0.693359375, -2.12194440e-4)  # the sum of a short number, exact times any exponent, and the rest
SQRT_HALF = 0.70710676908493042  # the float32 next to sqrt(1/2)


def gaussian(x: Tensor, offset: Tensor, std: Tensor, key: Tensor) -> Tensor:
    """Return ``x (offset + std e)`` with standard normal e; ``offset`` and ``std``, of one shape, broadcast over ``x``.

    Its gradient reaches ``x`` and ``std``, to any order and in forward mode. Nothing of the size of ``x`` is saved but
    ``x`` itself where ``std`` gets a gradient.
    """
    y: Tensor = (_Gaussian.apply if on_kernels(x) else gaussian_twin)(x, offset, std, key)
    return y


def gaussian_twin(x: Tensor, offset: Tensor, std: Tensor, key: Tensor) -> Tensor:
    """Return the same in torch operations."""
    work = work_dtype(x)
    e = normals(key, x.numel()).reshape(x.shape).to(work)
    return (x * (offset.to(work) + std.to(work) * e)).to(x.dtype)


def normals(key: Tensor, n: int) -> Tensor:
    """Return the standard normals of the positions 0 to ``n`` - 1; float32, (n,)."""
    w0, w1, w2, w3 = word_blocks(key, n, 4)
    return lanes_in_order((*box_muller(w0, w1), *box_muller(w2, w3)), n)


def box_muller(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return two independent standard normals for each pair of words; float32, at most 6.8 in size.

    The logarithm of the first gives the radius. The second gives the angle, pi t with t in (-1/2, 1/2), and whether it
    is turned by pi.

    Source: Box and Muller (1958).
    """
    radius = rounded_sqrt(-2 * _log((first.float() + 0.5) * 2.0**-32))
    t = ((second >> 9).float() + 0.5) * 2.0**-23 - 0.5
    radius = torch.where(second & 1 == 1, radius, -radius)
    return radius * _polynomial(COS, t * t), radius * (t * _polynomial(SIN, t * t))


def rounded_sqrt(x: Tensor) -> Tensor:
    """Return the square root of ``x``; in float32 rounded correctly, as kernels have it."""
    return x.double().sqrt().to(x.dtype)  # MKL's own in float32 has another last bit for 15 % of all numbers


def _log(u: Tensor) -> Tensor:
    """Return ln u of a float32 u = 2^n (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); errs by less than 1e-7 of it."""
    mantissa, exponent = torch.frexp(u)  # in [1/2, 1)
    low = mantissa < SQRT_HALF
    n = exponent.float() - low.float()
    f = torch.where(low, 2 * mantissa, mantissa) - 1
    return _polynomial(LN, f) * f * (f * f) + n * LN_2[1] - 0.5 * (f * f) + f + n * LN_2[0]


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
        ctx.input = weakref.ref(x)  # for jvp, which is called before the caller of apply can let go of x
        y = run("gaussian", x, torch.stack((offset, std)), key, lanes=4)
        return gaussian_twin(x, offset, std, key) if y is None else y

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
