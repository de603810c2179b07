"""The Bernoulli mask: 16 random bits for each element, compared with p in units of 2^-16.

The ``settings`` of a mask, (2, ...) or (4, ...), are the threshold below which an element is lost, the scale of the
kept elements and, if there are four, the shifts of the kept and of the lost. The remaining dimensions are those of p,
which broadcasts over x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import Key, Settings, as_tensors, on_kernels, run, run_values
from adaptive_dropout.noise.philox import KEYS, LEVELS, halves

__all__ = ["SMALL", "mask", "mask_drawn", "mask_reference", "mask_small"]

SMALL = 2048


def mask(x: Tensor, settings: Settings, key: Key, inplace: bool = False) -> Tensor:
    """Return ``x`` times the scale plus a shift where it is kept, and the other shift where it is lost.

    Its gradient reaches ``x``, to any order and in forward mode. Kernels compute it from the key, and save nothing of
    the size of ``x``. ``inplace`` writes into ``x``.
    """
    if on_kernels(x):
        y: Tensor = _Mask.apply(x, settings, key, inplace)
        return y
    y = mask_reference(x, settings, key)
    return x.copy_(y) if inplace else y


def mask_small(x: Tensor, dropped: int, scale: float, key: int) -> Tensor | None:
    """Return the same, without shifts, for an ``x`` on the CPU of 1 to `SMALL` elements; None if no kernel can run.

    The multiplication is torch's and saves its factor, which for so few elements is faster than a `Function`.
    """
    values = run_values("mask_values", x, key, dropped, scale)
    if values is None:
        return None
    y = x * values
    return y if y.dtype == x.dtype else y.to(x.dtype)


def mask_drawn(x: Tensor, dropped: int, scale: float) -> Tensor:
    """Return the same, without shifts, with bits of torch's own generator: the fastest way in torch operations.

    A byte for each element is saved for the backward pass.
    """
    if dropped == LEVELS:
        return x * 0
    words = torch.randint(-KEYS - 1, KEYS, (-(-x.numel() // 4),), dtype=torch.int64, device=x.device)
    keep = words.view(torch.int16)[: x.numel()].reshape(x.shape) >= dropped - LEVELS // 2
    return x * keep * scale


def mask_reference(x: Tensor, settings: Settings, key: Key) -> Tensor:
    """Return the same in torch operations."""
    settings, key = as_tensors(x, settings, key)
    dropped, scale, *shifts = settings.unbind()
    keep = halves(key, x.numel()).reshape(x.shape) >= dropped
    y = x * torch.where(keep, scale, 0.0)
    return (y + torch.where(keep, shifts[0], shifts[1]) if shifts else y).to(x.dtype)


class _Mask(Function):
    # Without setup_context: torch then calls it several times as fast, and its transforms take the reference anyway.
    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: Settings, key: Key, inplace: bool) -> Tensor:
        ctx.settings, ctx.key, ctx.inplace = settings, key, inplace  # a few numbers, without gradient
        y = run("mask", x, settings, key, inplace=inplace)
        if y is None:
            y = mask_reference(x, settings, key)
            y = x.copy_(y) if inplace else y
        if inplace:
            ctx.mark_dirty(x)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return mask(gradient, ctx.settings[:2], ctx.key), None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return mask(tangent, ctx.settings[:2], ctx.key, ctx.inplace)
