"""Attention in one operator whose p is a tensor: for compiled graphs, which p may then leave as they are when it moves.

torch's kernels take p as a Python number, which a graph holds for ever. The operator takes a 0-dim tensor on the CPU
instead, and reads it when it runs, which waits for no device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable
from torch.nn import functional as F

from adaptive_dropout.checks import check_p
from adaptive_dropout.functional.attention_kernels import (
    CHANNELS,
    backward,
    backward_on_cpu,
    forward,
    forward_on_cpu,
)

__all__ = ["attend"]


def attend(
    query: Tensor, key: Tensor, value: Tensor, p: Tensor, mask: Tensor | None, is_causal: bool, scale: float
) -> Tensor:
    """Return `adaptive_dropout.functional.scaled_dot_product_attention`, computed by the operator.

    Args:
        query: (..., heads, time, channels).
        key: (..., key heads, other time, channels); the number of key heads divides the number of heads.
        value: (..., key heads, other time, value channels).
        p: 0-dim, on the CPU.
        mask: broadcasts to (..., heads, time, other time); bool or additive.
        is_causal: whether a query looks at keys up to its own time only.
        scale: of the products of queries and keys.
    """
    device = query.device.type
    if torch.is_autocast_enabled(device):  # it casts the inputs of torch's attention, and does not know this operator
        dtype = torch.get_autocast_dtype(device)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    batch = torch.broadcast_shapes(query.shape[:-3], key.shape[:-3], value.shape[:-3])  # type: ignore[no-untyped-call]
    given = [_four_dims(_padded(x).expand(*batch, *x.shape[-3:-1], -1)) for x in (query, key, value)]
    if mask is not None:
        mask = mask.expand(*mask.shape[:-1], key.shape[-2])
        mask = _four_dims(mask if mask.dim() < 5 else mask.expand(*batch, *mask.shape[-3:]))
    out: Tensor = torch.ops.adaptive_dropout.attend.default(*given, mask, p, is_causal, scale)
    return out[..., : value.shape[-1]].reshape(*batch, *query.shape[-3:-1], value.shape[-1])


def _attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: Tensor, is_causal: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return attention, (batch, heads, time, channels), and for the backward pass: softmax sums, seed, offset, p.

    The last is a copy, because p may move before the backward pass.
    """
    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "a CUDA graph would keep the present p of compiled attention for ever; capture the model uncompiled, "
            "which then reads p on the device"
        )
    number = check_p(p.item())
    out, sums, seed, offset = forward(query, key, value, mask, _below_1(number), is_causal, scale)
    return out.zero_() if number == 1.0 else out, sums, seed, offset, p.clone()


def _attention_on_cpu(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: Tensor, is_causal: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return *forward_on_cpu(query, key, value, mask, check_p(p.item()), is_causal, scale), p.clone()


def _attention_s_shapes(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: Tensor, is_causal: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    function = forward_on_cpu if query.is_cpu else forward
    return *function(query, key, value, mask, 0.5, is_causal, scale), torch.empty_like(p)


def _attention_backward(
    gradient: Tensor,
    inputs: list[Tensor],
    mask: Tensor | None,
    drawn: list[Tensor],
    is_causal: bool,
    scale: float,
    for_mask: bool,
) -> list[Tensor]:
    """Return the gradients of the ``inputs`` query, key and value, and ``for_mask`` of the mask.

    ``drawn`` is all that `attention` returned.
    """
    number = drawn[-1].item()
    gradients = backward(gradient, inputs, mask, drawn, _below_1(number), is_causal, scale, for_mask)
    return [grad.zero_() for grad in gradients] if number == 1.0 else gradients


def _attention_backward_on_cpu(
    gradient: Tensor,
    inputs: list[Tensor],
    mask: Tensor | None,
    drawn: list[Tensor],
    is_causal: bool,
    scale: float,
    for_mask: bool,
) -> list[Tensor]:
    return backward_on_cpu(gradient, inputs, mask, drawn, drawn[-1].item(), is_causal, scale, for_mask)


def _attention_backward_s_shapes(
    gradient: Tensor,
    inputs: list[Tensor],
    mask: Tensor | None,
    drawn: list[Tensor],
    is_causal: bool,
    scale: float,
    for_mask: bool,
) -> list[Tensor]:
    function = backward_on_cpu if gradient.is_cpu else backward
    return function(gradient, inputs, mask, drawn, 0.5, is_causal, scale, for_mask)


class _Differentiable(Function):
    """The operator with its gradient, which compilers trace through."""

    @staticmethod
    def forward(
        query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: Tensor, is_causal: bool, scale: float
    ) -> tuple[Tensor, ...]:
        drawn: tuple[Tensor, ...] = attention(query, key, value, mask, p, is_causal, scale)
        return drawn

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, _, ctx.is_causal, ctx.scale = inputs
        ctx.save_for_backward(*tensors, *output)
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        query, key, value, mask, *drawn = ctx.saved_tensors
        for_mask = ctx.needs_input_grad[3]
        inputs = [query, key, value]
        gradients = attention_backward(gradient, inputs, mask, drawn, ctx.is_causal, ctx.scale, for_mask)
        return *gradients, *(() if for_mask else (None,)), None, None, None


def _attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: Tensor, is_causal: bool, scale: float
) -> Tensor:
    out: Tensor = _Differentiable.apply(query, key, value, mask, p, is_causal, scale)[0]
    return out


# Not `torch.library.custom_op`: its Python around each call, and that of a gradient registered with an operator, take
# longer than the calls: 78 and 60 us forwards and backwards, instead of 35 and 24. A compiler traces through `attend`
# once and records the other two, which have no gradient.
LIBRARY: Any = torch.library.Library("adaptive_dropout", "FRAGMENT")  # type: ignore[no-untyped-call]
LIBRARY.define(
    "attention(Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor p, bool is_causal, float scale)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    # no compiler merges two calls, or draws another mask going backward
    tags=(torch.Tag.nondeterministic_seeded, torch.Tag.pt2_compliant_tag),
)
LIBRARY.define(
    "attention_backward(Tensor gradient, Tensor[] inputs, Tensor? mask, Tensor[] drawn, bool is_causal, float scale,"
    " bool for_mask) -> Tensor[]",
    tags=(torch.Tag.pt2_compliant_tag,),
)
LIBRARY.define(
    "attend(Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor p, bool is_causal, float scale) -> Tensor"
)
LIBRARY.impl("attend", _attend, "CompositeImplicitAutograd")
LIBRARY.impl("attention", _attention, "CUDA")
LIBRARY.impl("attention", _attention_on_cpu, "CPU")
LIBRARY.impl("attention_backward", _attention_backward, "CUDA")
LIBRARY.impl("attention_backward", _attention_backward_on_cpu, "CPU")
attention = torch.ops.adaptive_dropout.attention.default
attention_backward = torch.ops.adaptive_dropout.attention_backward.default
torch.library.register_fake(attention, _attention_s_shapes, lib=LIBRARY)
torch.library.register_fake(attention_backward, _attention_backward_s_shapes, lib=LIBRARY)


def _below_1(p: float) -> float:
    return 0.0 if p == 1.0 else p  # the kernels refuse 1; what they give is then set to 0


def _padded(x: Tensor) -> Tensor:
    return F.pad(x, (0, -x.shape[-1] % CHANNELS)) if x.shape[-1] % CHANNELS else x


def _four_dims(x: Tensor) -> Tensor:
    """Return ``x`` as (batch, heads, time, channels)."""
    while x.dim() < 4:
        x = x.unsqueeze(0)
    return x.flatten(0, -4)
