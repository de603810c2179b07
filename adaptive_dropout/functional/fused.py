"""Dropout in one pass with what stands beside it in a network: the residual behind it, bias and ReLU before it."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout.functional.bernoulli import draw
from adaptive_dropout.functional.strength import check_input, known_zero
from adaptive_dropout.noise.fused import mask_add, relu_mask

__all__ = ["bias_relu_dropout", "dropout_add"]


def dropout_add(x: Tensor, residual: Tensor, p: float | Tensor) -> Tensor:
    """Return ``residual + dropout(x, p)``, the end of a residual block; the noise is that of `dropout`.

    Gradients reach ``x`` and ``residual``, of any order. Nothing of their size is saved.

    Args:
        x: any shape, floating point.
        residual: of the shape, dtype and device of ``x``.
        p: in [0, 1]; a tensor that broadcasts to ``x`` gives each element its own.

    Raises:
        RuntimeError: ``x`` is not floating point.
        ValueError: ``p`` is outside [0, 1], or ``residual`` is not like ``x``.
    """
    check_input(x)
    if (residual.shape, residual.dtype, residual.device) != (x.shape, x.dtype, x.device):
        raise ValueError(f"residual has to be {_kind(x)} as x is, but got {_kind(residual)}")
    return x + residual if known_zero(p) else mask_add(x, residual, *draw(x, p))


def bias_relu_dropout(x: Tensor, bias: Tensor, p: float | Tensor) -> Tensor:
    """Return ``dropout(relu(x + bias), p)``, what follows a product with a weight; the noise is that of `dropout`.

    Gradients reach ``x`` and ``bias``. Only the result is saved for them, which the next layer keeps anyway.

    Args:
        x: (..., features), floating point.
        bias: (features,), of the dtype and device of ``x``.
        p: in [0, 1]; a tensor that broadcasts to ``x`` gives each element its own.

    Raises:
        RuntimeError: ``x`` is not floating point.
        ValueError: ``p`` is outside [0, 1], or ``bias`` is not one number for each feature of ``x``.
    """
    check_input(x)
    if (bias.shape, bias.dtype, bias.device) != (x.shape[-1:], x.dtype, x.device) or not x.dim():
        raise ValueError(f"bias has to have one number for each feature of x, {_kind(x)}, but got {_kind(bias)}")
    return (x + bias).relu() if known_zero(p) else relu_mask(x, bias, *draw(x, p))


def _kind(x: Tensor) -> str:
    return f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')} on {x.device}"
