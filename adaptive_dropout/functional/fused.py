"""Dropout in one pass with its neighbours in a network: the residual added after it, the bias and ReLU before it."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout.functional.bernoulli import draw
from adaptive_dropout.functional.inputs import as_given, as_number, check_input, is_known_zero
from adaptive_dropout.noise.fused import mask_add, relu_mask
from adaptive_dropout.noise.settings import Key

__all__ = ["bias_relu_dropout", "dropout_add"]


def dropout_add(x: Tensor, residual: Tensor, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Return ``residual + dropout(x, p)``, the end of a residual block; the noise is that of `dropout`.

    Gradients of any order reach ``x`` and ``residual``. Where there are kernels (`adaptive_dropout.noise`), nothing of
    the size of ``x`` is saved for them.

    Args:
        x: any shape, floating point.
        residual: of the shape, dtype and device of ``x``.
        p: in [0, 1]; a tensor that broadcasts to ``x`` gives each element its own.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` is not floating point.
        ValueError: ``p`` is outside [0, 1], or ``residual`` differs from ``x`` in shape, dtype or device.
    """
    check_input(x)
    if (residual.shape, residual.dtype, residual.device) != (x.shape, x.dtype, x.device):
        raise ValueError(f"residual has to be {_describe(x)} as x is, but got {_describe(residual)}")
    number, key = as_number(p), as_given(key, x)
    return x + residual if is_known_zero(p, number) else mask_add(x, residual, *draw(x, p, number, key=key))


def bias_relu_dropout(x: Tensor, bias: Tensor, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Return ``dropout(relu(x + bias), p)``, what follows the product of a dense layer; the noise is that of `dropout`.

    Gradients reach ``x`` and ``bias``. Where there are kernels (`adaptive_dropout.noise`), only the result is saved for
    them, which the next layer keeps anyway.

    Args:
        x: (..., features), floating point.
        bias: (features,), of the dtype and device of ``x``.
        p: in [0, 1]; a tensor that broadcasts to ``x`` gives each element its own.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` is not floating point.
        ValueError: ``p`` is outside [0, 1], or ``bias`` does not have one number for each feature of ``x``.
    """
    check_input(x)
    if (bias.shape, bias.dtype, bias.device) != (x.shape[-1:], x.dtype, x.device) or not x.dim():
        raise ValueError(
            f"bias has to have one number for each feature of x, {_describe(x)}, but got {_describe(bias)}"
        )
    number, key = as_number(p), as_given(key, x)
    return (x + bias).relu() if is_known_zero(p, number) else relu_mask(x, bias, *draw(x, p, number, key=key))


def _describe(x: Tensor) -> str:
    return f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')} on {x.device}"
