"""The Bernoulli mask: 16 random bits for each element, compared with p in units of 2^-16.

Its settings are those of `settings.BERNOULLI`, or of `settings.ALPHA`, which has shifts. Their dimensions after the
first are those of p, which broadcasts over x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import differentiating, on_kernels, run, run_values
from adaptive_dropout.noise.philox import KEYS, LEVELS, halves
from adaptive_dropout.noise.settings import Key, Settings, as_drawn, as_tensors, without_shifts

__all__ = ["SMALL", "SMALL_SHARED", "mask", "mask_by_kernel", "mask_drawn", "mask_reference", "mask_small"]

SMALL = 2048
SMALL_SHARED = 1 << 15
"""Elements of a mask that several elements of x share; making it alone is then faster than multiplying ones by it."""


def mask(x: Tensor, settings: Settings, key: Key, inplace: bool = False, shared: int = 1) -> Tensor:
    """Return ``x`` times the scale plus a shift where it is kept, and the other shift where it is lost.

    Its gradient reaches ``x``, to any order and in forward mode. Kernels compute it from the key, and save nothing of
    the size of ``x``. ``inplace`` writes into ``x``. ``shared`` neighbours have one element of the mask, for instance
    all of a channel; it divides the number of elements, and then one p is for all.
    """
    y: Tensor
    if not on_kernels(x):
        y = mask_reference(x, settings, key, shared)
        return x.copy_(y) if inplace else y
    return mask_by_kernel(x, settings, key, inplace, shared)


def mask_by_kernel(x: Tensor, settings: Settings, key: Key, inplace: bool = False, shared: int = 1) -> Tensor:
    """Return the same for an ``x`` of which `on_kernels` is known to be true."""
    if inplace or differentiating(x):
        y: Tensor = _Mask.apply(x, settings, key, inplace, shared)
        return y
    return _run(x, settings, key, inplace, shared)


def mask_small(
    x: Tensor, dropped: int, scale: float, key: Key, noise_shape: tuple[int, ...] | None = None
) -> Tensor | None:
    """Return the same, without shifts, for an ``x`` on the CPU of few elements; None if no kernel can run.

    The multiplication is torch's and saves its factor, which for so few elements is faster than a `Function`. A mask of
    ``noise_shape`` broadcasts over ``x``. It has 1 to `SMALL` elements, or to `SMALL_SHARED` where they are shared.
    """
    values = run_values("mask_values", noise_shape or x.shape, x.dtype, int(key), dropped, scale)
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


def mask_reference(x: Tensor, settings: Settings, key: Key, shared: int = 1) -> Tensor:
    """Return the same in torch operations."""
    settings, key = as_tensors(x, settings, key)
    dropped, scale, *shifts = settings.unbind()
    drawn = halves(key, x.numel() // shared)
    if shared > 1:
        drawn = drawn.unsqueeze(1).expand(-1, shared)
    keep = drawn.reshape(x.shape) >= dropped
    y = x * torch.where(keep, scale, 0.0)
    return (y + torch.where(keep, shifts[0], shifts[1]) if shifts else y).to(x.dtype)


class _Mask(Function):
    # Without setup_context: torch then calls it several times as fast, and its transforms take the reference anyway.
    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: Settings, key: Key, inplace: bool, shared: int) -> Tensor:
        ctx.noise = settings, key, inplace, shared  # a few numbers, without gradient
        y = _run(x, settings, key, inplace, shared)
        if inplace:
            ctx.mark_dirty(x)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        settings, key, _, shared = ctx.noise
        return mask(gradient, without_shifts(as_drawn(settings)), key, False, shared), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        settings, key, inplace, shared = ctx.noise
        return mask(tangent, without_shifts(settings), key, inplace, shared)


def _run(x: Tensor, settings: Settings, key: Key, inplace: bool, shared: int) -> Tensor:
    if shared > 1:
        y = run("mask_shared", x, settings, key, (shared,), inplace=inplace)
    else:
        y = run("mask", x, settings, key, inplace=inplace)
    if y is None:
        y = mask_reference(x, settings, key, shared)
        y = x.copy_(y) if inplace else y
    return y
