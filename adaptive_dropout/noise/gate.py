"""The concrete gate: a soft mask k = 1 / (1 + (r v)^a) with v = u / (1 - u), u uniform in (0, 1).

With r = p / (1 - p) and a = 1 / T this is the 1 - z of the concrete distribution at temperature T.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import on_kernels, run, run_backward
from adaptive_dropout.noise.philox import LEVELS, halves
from adaptive_dropout.noise.settings import Key, as_key, rounded_sqrt, work_dtype

__all__ = ["gate", "gate_reference", "keep", "limit_of"]

SIZE = (
    120  # (r v)^a is cut off at 2^120, a little below the largest float32: k is then 0, and its slope is not inf / inf
)


def gate(x: Tensor, odds: Tensor, scale: Tensor, exponent: float, key: Key) -> Tensor:
    """Return ``x scale k``, where r is ``odds`` and a the ``exponent``.

    ``odds`` and ``scale``, of one shape, broadcast over ``x``. Gradients reach ``x``, ``odds`` and ``scale``, to any
    order and in forward mode. Kernels save nothing of the size of ``x`` for them, except ``x`` itself where ``odds`` or
    ``scale`` gets a gradient.
    """
    y: Tensor = (_Gate.apply if on_kernels(x) else gate_reference)(x, odds, scale, exponent, key)
    return y


def gate_reference(x: Tensor, odds: Tensor, scale: Tensor, exponent: float, key: Key) -> Tensor:
    """Return the same in torch operations."""
    return (x * (scale.to(work_dtype(x)) * keep(x, odds, exponent, key))).to(x.dtype)


def keep(x: Tensor, odds: Tensor, exponent: float, key: Key) -> Tensor:
    """Return k in the shape of ``x``, in float64 for float64, else in float32; differentiable in ``odds``."""
    work = work_dtype(x)
    u = (halves(as_key(x, key), x.numel()).reshape(x.shape).to(work) + 0.5) / LEVELS  # exact in float32, like 1 - u
    base = (odds.to(work) * (u / (1 - u))).clamp(max=limit_of(exponent))
    return 1 / (1 + _power(base, exponent))


def _power(base: Tensor, exponent: float) -> Tensor:
    """Return ``base`` to the ``exponent``; multiples of 1/2 up to 32 by multiplications, as in the kernels."""
    twice = int(2 * exponent)
    if twice != 2 * exponent or twice > 64:
        return base**exponent
    power = rounded_sqrt(base) if twice % 2 else torch.ones_like(base)
    n = twice // 2
    while n:
        power = power * base if n % 2 else power
        base = base * base
        n //= 2
    return power


class _Gate(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, odds: Tensor, scale: Tensor, exponent: float, key: Key) -> Tensor:
        saved = (x if any(ctx.needs_input_grad[1:3]) else None, odds, scale)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)
        ctx.input = weakref.ref(x)  # for jvp, which runs before the caller of apply can release x
        ctx.exponent, ctx.key = exponent, key
        y = run("gate", x, torch.stack((odds, scale)), key, (exponent, limit_of(exponent)))
        return gate_reference(x, odds, scale, exponent, key) if y is None else y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, odds, scale = ctx.saved_tensors
        key = ctx.key
        if not any(ctx.needs_input_grad[1:3]):
            return gate(gradient, odds, scale, ctx.exponent, key), None, None, None, None
        to_x, of_k, of_slope = _backward(x, gradient, odds, scale, ctx.exponent, key)
        to_odds = (of_slope * scale * _steepness(odds, ctx.exponent)).sum_to_size(odds.shape)
        return to_x, to_odds.to(odds.dtype), of_k.sum_to_size(scale.shape).to(scale.dtype), None, None

    @staticmethod
    def jvp(ctx: Any, x_tangent: Tensor | None, *tangents: Tensor | None) -> Tensor:
        _, odds, scale = ctx.saved_tensors
        x, key = ctx.input(), ctx.key
        odds_tangent, scale_tangent = tangents[:2]
        k = keep(x, odds, ctx.exponent, key)
        change = torch.zeros_like(x) if x_tangent is None else x_tangent * scale * k
        if scale_tangent is not None:
            change = change + x * k * scale_tangent
        if odds_tangent is not None:
            change = change + x * scale * k * (1 - k) * _steepness(odds, ctx.exponent) * odds_tangent
        return change.to(x.dtype)


def _backward(
    x: Tensor, gradient: Tensor, odds: Tensor, scale: Tensor, exponent: float, key: Key
) -> tuple[Tensor, Tensor, Tensor]:
    """Return gradient scale k, x gradient k and x gradient k (1 - k); the last two summed where the kernel runs."""
    if odds.dim() == 0 and not torch.is_grad_enabled() and on_kernels(gradient):
        numbers = (exponent, limit_of(exponent))
        results = run_backward("gate_backward", (x, gradient), torch.stack((odds, scale)), key, numbers)
        if results is not None:
            of_k, of_slope = results[1].sum(1, dtype=torch.float64).to(work_dtype(x)).unbind()
            return results[0], of_k, of_slope
    k = keep(x, odds, exponent, key)
    product = gradient * x * k
    return gate(gradient, odds, scale, exponent, key), product, product * (1 - k)


def limit_of(exponent: float) -> float:
    """Return where the base is cut off, so that its power stays finite."""
    return float(2 ** min(SIZE / exponent, 127))


def _steepness(odds: Tensor, exponent: float) -> Tensor:
    """Return dk / d odds over k (1 - k)."""
    return -exponent / odds.clamp(min=torch.finfo(odds.dtype).tiny)
