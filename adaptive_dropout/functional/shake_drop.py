"""ShakeDrop: a residual branch with a random share, and with another one in the backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from adaptive_dropout.functional.inputs import as_given, as_number, as_p, check_input, is_known_zero
from adaptive_dropout.noise.backend import on_kernels
from adaptive_dropout.noise.gate import gate
from adaptive_dropout.noise.keys import draw_key
from adaptive_dropout.noise.settings import Key, work_dtype

__all__ = ["shake_drop"]


def shake_drop(x: Tensor, p: float | Tensor, key: Key | None = None) -> Tensor:
    """Multiply an example of ``x``, (batch, ...), by a number from -1 to 1 with probability ``p``, else by 1.

    With b = 0 with probability p, else 1, a uniform in (-1, 1) and c uniform in (0, 1), drawn for each example,

        y = (b + a - b a) x,    gradient of x = (b + c - b c) gradient of y.

    The mean of y is (1 - p) x, which evaluation takes; nothing is rescaled. p = 0 is the identity. The gradient is not
    that of y, and of its own mean 1 - p / 2: measure no derivative of a loss by a rate through it. A second derivative
    and one in forward mode are those of the gradient that is given here. No gradient reaches ``p``.

    Args:
        x: floating point, the output of a residual branch.
        p: in [0, 1]; a tensor that broadcasts to (batch, 1, ...) gives each example its own.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``x`` has no dimension, or is not floating point.
        ValueError: ``p`` is outside [0, 1], or a tensor that requires a gradient.

    Source: Yamada et al. (2019), "ShakeDrop regularization for deep residual learning", equation 6, with the ranges of
    their section 4 and a gate for each example; their own code has one for the batch.
    """
    check_input(x)
    if not x.dim():
        raise RuntimeError("shake_drop takes (batch, ...), but got shape ()")
    key = as_given(key, x)
    if is_known_zero(p, as_number(p)):
        return x
    if isinstance(p, Tensor) and p.requires_grad:
        raise ValueError(
            "the gate of ShakeDrop passes no gradient to p; set it, schedule it, or let a controller steer it"
        )
    forward, backward = _draw(x, p, key)
    y: Tensor = (_ShakeDrop.apply if on_kernels(x) else _reference)(x, forward, backward)
    return y


def _draw(x: Tensor, p: float | Tensor, key: Key | None) -> tuple[Tensor, Tensor]:
    """Return the factors of x and of its gradient, (batch, 1, ...)."""
    like = x.new_ones(3, len(x), *(1,) * (x.dim() - 1), dtype=work_dtype(x))
    one = like.new_ones(())
    gates, a, c = gate(like, one, one, 1.0, draw_key(x) if key is None else key).unbind()  # uniform, in steps of 2^-16
    stays = gates >= as_p(p, gates)
    return torch.where(stays, 1.0, 2 * a - 1), torch.where(stays, 1.0, c)


def _reference(x: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """Return ``x`` times ``forward``, with the gradient of ``x`` times ``backward``, in torch operations."""
    return (x * backward + (x * (forward - backward)).detach()).to(x.dtype)


class _ShakeDrop(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
        ctx.save_for_backward(backward)
        ctx.save_for_forward(backward)
        return (x * forward).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (backward,) = ctx.saved_tensors
        return (gradient * backward).to(gradient.dtype), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        (backward,) = ctx.saved_tensors
        change: Tensor = (tangent * backward).to(tangent.dtype)
        return change
