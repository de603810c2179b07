"""Dropout with its neighbours in one pass over memory: a residual added behind it, a bias and ReLU before it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import Key, Levels, as_tensors, on_kernels, run, work_dtype
from adaptive_dropout.noise.mask import mask, mask_twin

__all__ = ["mask_add", "mask_add_twin", "relu_mask", "relu_mask_twin"]


def mask_add(x: Tensor, residual: Tensor, levels: Levels, key: Key) -> Tensor:
    """Return ``x`` times the mask of `mask.mask`, without shifts, plus ``residual``, of the same shape and dtype.

    Gradients reach both, to any order and in forward mode. Nothing of the size of ``x`` is saved.
    """
    y: Tensor = (_MaskAdd.apply if on_kernels(x) else mask_add_twin)(x, residual, levels, key)
    return y


def mask_add_twin(x: Tensor, residual: Tensor, levels: Levels, key: Key) -> Tensor:
    """Return the same in torch operations."""
    work = work_dtype(x)
    return (mask_twin(x.to(work), levels, key) + residual.to(work)).to(x.dtype)


def relu_mask(x: Tensor, bias: Tensor, levels: Levels, key: Key) -> Tensor:
    """Return the mask, without shifts, times max(``x`` + ``bias``, 0); ``bias`` is (features,), as the last of ``x``.

    Gradients reach both, to any order and in forward mode. The result alone is saved, which what follows has to keep
    anyway.
    """
    y: Tensor = (_ReluMask.apply if on_kernels(x) else relu_mask_twin)(x, bias, levels, key)
    return y


def relu_mask_twin(x: Tensor, bias: Tensor, levels: Levels, key: Key) -> Tensor:
    """Return the same in torch operations."""
    work = work_dtype(x)
    return mask_twin((x.to(work) + bias.to(work)).relu(), levels, key).to(x.dtype)


class _MaskAdd(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: Tensor, levels: Levels, key: Key) -> Tensor:
        ctx.levels, ctx.key = levels, key
        y = run("mask_add", x, levels, key, others=(residual,))
        return mask_add_twin(x, residual, levels, key) if y is None else y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return mask(gradient, ctx.levels, ctx.key), gradient, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor | None, residual_tangent: Tensor | None, *_: None) -> Tensor | None:
        if tangent is None:
            return None if residual_tangent is None else residual_tangent.clone()
        change = mask(tangent, ctx.levels, ctx.key)
        return change if residual_tangent is None else change + residual_tangent


class _ReluMask(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor, levels: Levels, key: Key) -> Tensor:
        y = run("relu_mask", x, levels, key, (bias.numel(),), (bias,))
        if y is None:
            y = relu_mask_twin(x, bias, levels, key)
        ctx.save_for_backward(y)
        ctx.save_for_forward(y)
        ctx.levels = levels
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        to_x = gradient * _slope(ctx.saved_tensors[0], ctx.levels)
        to_bias = to_x.sum_to_size(to_x.shape[-1:]) if ctx.needs_input_grad[1] else None
        return to_x, to_bias, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        (y,) = ctx.saved_tensors
        change = sum(tangent for tangent in tangents[:2] if tangent is not None)
        return (change * _slope(y, ctx.levels)).expand(y.shape)


def _slope(y: Tensor, levels: Levels) -> Tensor:
    """Return dy / dx: the scale where the sum was above 0 and kept, which is where ``y`` is."""
    return torch.where(y > 0, as_tensors(y, levels, 0)[0][1].to(y.dtype), 0)
