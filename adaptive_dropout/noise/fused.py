"""Dropout with its neighbours in one pass over memory: a residual added after it, a bias and ReLU before it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.noise.backend import differentiating, on_kernels, run
from adaptive_dropout.noise.mask import mask, mask_reference
from adaptive_dropout.noise.settings import Key, Settings, as_drawn, as_tensors, work_dtype

__all__ = ["mask_add", "mask_add_reference", "relu_mask", "relu_mask_reference"]


def mask_add(x: Tensor, residual: Tensor, settings: Settings, key: Key) -> Tensor:
    """Return ``x`` times the mask of `mask.mask`, without shifts, plus ``residual``, of the same shape and dtype.

    Gradients reach both, to any order and in forward mode. Kernels save nothing of the size of ``x`` for them.
    """
    y: Tensor = (_MaskAdd.apply if on_kernels(x) else mask_add_reference)(x, residual, settings, key)
    return y


def mask_add_reference(x: Tensor, residual: Tensor, settings: Settings, key: Key) -> Tensor:
    """Return the same in torch operations."""
    work = work_dtype(x)
    return (mask_reference(x.to(work), settings, key) + residual.to(work)).to(x.dtype)


def relu_mask(x: Tensor, bias: Tensor, settings: Settings, key: Key) -> Tensor:
    """Return the mask, without shifts, times max(``x`` + ``bias``, 0); ``x`` is (..., features), ``bias`` (features,).

    Gradients reach both, to any order and in forward mode. Kernels save the result alone, which the next operation
    usually keeps anyway.
    """
    y: Tensor = (_ReluMask.apply if on_kernels(x) else relu_mask_reference)(x, bias, settings, key)
    return y


def relu_mask_reference(x: Tensor, bias: Tensor, settings: Settings, key: Key) -> Tensor:
    """Return the same in torch operations."""
    work = work_dtype(x)
    return mask_reference((x.to(work) + bias.to(work)).relu(), settings, key).to(x.dtype)


class _MaskAdd(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: Tensor, settings: Settings, key: Key) -> Tensor:
        ctx.settings, ctx.key = settings, key
        y = run("mask_add", x, settings, key, others=(residual,))
        return mask_add_reference(x, residual, settings, key) if y is None else y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return mask(gradient, as_drawn(ctx.settings), ctx.key), gradient, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor | None, residual_tangent: Tensor | None, *_: None) -> Tensor | None:
        if tangent is None:
            return None if residual_tangent is None else residual_tangent.clone()
        change = mask(tangent, ctx.settings, ctx.key)
        return change if residual_tangent is None else change + residual_tangent


class _ReluMask(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor, settings: Settings, key: Key) -> Tensor:
        y = run("relu_mask", x, settings, key, (bias.numel(),), (bias,))
        if y is None:
            y = relu_mask_reference(x, bias, settings, key)
        ctx.save_for_backward(y)
        ctx.save_for_forward(y)
        ctx.settings = settings
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        to_x = None
        if y.is_cuda and on_kernels(gradient) and not differentiating(gradient):
            to_x = run("relu_mask_backward", y, as_drawn(ctx.settings), 0, others=(gradient,))
        if to_x is None:
            to_x = gradient * _slope(y, as_drawn(ctx.settings))
        to_bias = to_x.sum_to_size(to_x.shape[-1:]) if ctx.needs_input_grad[1] else None
        return to_x, to_bias, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        (y,) = ctx.saved_tensors
        change = sum(tangent for tangent in tangents[:2] if tangent is not None)
        return (change * _slope(y, ctx.settings)).expand(y.shape)


def _slope(y: Tensor, settings: Settings) -> Tensor:
    """Return dy / dx: the scale where the sum was above 0 and kept, that is where ``y`` is above 0; else 0."""
    return torch.where(y > 0, as_tensors(y, settings, 0)[0][1].to(y.dtype), 0)
