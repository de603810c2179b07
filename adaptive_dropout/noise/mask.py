"""The Bernoulli mask: 16 random bits for each element, compared with p in units of 2^-16.

What a noise does with it is in its ``levels``, (2, ...) or (4, ...): the threshold below which an element is lost, the
scale of the kept ones, and, if any, the shifts of the kept and of the lost. The rest is the shape of p, broadcast over
x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import run, run_values, traced, work_dtype
from adaptive_dropout.noise.philox import BLOCK, halves

__all__ = ["LEVELS", "SMALL", "mask", "mask_small", "mask_twin"]

LEVELS = 1 << 16
SMALL = 8 * BLOCK


def mask(x: Tensor, levels: Tensor, key: Tensor) -> Tensor:
    """Return ``x`` times the scale plus a shift where it is kept, only the other shift where it is lost.

    Its gradient reaches ``x``, to any order and in forward mode, and is computed from the key: nothing of the size of
    ``x`` is saved.
    """
    y: Tensor = (mask_twin if traced() else _Mask.apply)(x, levels, key)
    return y


def mask_small(x: Tensor, dropped: int, scale: float, key: Tensor) -> Tensor | None:
    """Return the same, without shifts, for a ``x`` on the CPU of 1 to `SMALL` elements; None where no kernel can run.

    The multiplication is torch's and saves its factor, which for so few takes less time than a function of our own.
    """
    values = run_values("mask_values", x, key, dropped, scale)
    if values is None:
        return None
    y = x * values
    return y if y.dtype == x.dtype else y.to(x.dtype)


def mask_twin(x: Tensor, levels: Tensor, key: Tensor) -> Tensor:
    """Return the same in torch operations."""
    dropped, scale, *shifts = levels.to(work_dtype(x)).unbind()
    keep = halves(key, x.numel()).reshape(x.shape) >= dropped
    y = x * torch.where(keep, scale, 0.0)
    return (y + torch.where(keep, shifts[0], shifts[1]) if shifts else y).to(x.dtype)


class _Mask(Function):
    @staticmethod
    def forward(x: Tensor, levels: Tensor, key: Tensor) -> Tensor:
        y = run("mask", x, levels, key, lanes=8)
        return mask_twin(x, levels, key) if y is None else y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        levels, key = ctx.saved_tensors
        return _Mask.apply(gradient, levels[:2], key), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        levels, key = ctx.saved_tensors
        y: Tensor = _Mask.apply(tangent, levels[:2], key)
        return y

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Tensor, int]:
        return torch.vmap(mask_twin, in_dims)(*inputs), 0
