"""The kernels behind the attention operator: torch's on a CUDA device, and their slow twin on a CPU.

All take (batch, heads, time, channels), fewer heads of keys and values than of queries if need be, and a mask of four
dimensions that broadcasts, bool or additive.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch._subclasses import FakeTensor
from torch.nn import functional as F

__all__ = [
    "CHANNELS",
    "backward",
    "backward_on_cpu",
    "forward",
    "forward_on_cpu",
    "repeat_heads",
    "softmax_weights",
    "takes_flash",
]

aten = torch.ops.aten
CHANNELS = 8  # the kernels take heads of a multiple of it
MOST_CHANNELS = 192  # with more of them flash has no backward pass with dropout on some devices
STRIDE = 16  # the efficient kernel takes masks whose rows begin at a multiple of it


def takes_flash(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> bool:
    """Return whether the flash kernel computes this attention; otherwise the efficient one does.

    Flash takes half precision and no mask. Its causal mask ends at the last key, torch's runs along the diagonal: they
    are the same if there are as many keys as queries.
    """
    half = query.dtype in (torch.float16, torch.bfloat16)
    narrow = query.shape[-1] == value.shape[-1] <= MOST_CHANNELS
    square = not is_causal or query.shape[-2] == key.shape[-2]
    return half and narrow and mask is None and square and _has_flash(query.device.index or 0)


@lru_cache
def _has_flash(device: int) -> bool:
    """Return whether flash runs on a CUDA device; on a machine without one, suppose so."""
    if not torch.cuda.is_available():
        return True
    return torch.backends.cuda.is_flash_attention_available() and torch.cuda.get_device_capability(device) >= (8, 0)


def forward(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: float, is_causal: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return attention, and for its backward pass: the logs of the softmax's sums, the seed and the offset."""
    if takes_flash(query, key, value, mask, is_causal):
        query, key, value = (_rows(x) for x in (query, key, value))
        flash = aten._scaled_dot_product_flash_attention(query, key, value, p, is_causal, False, scale=scale)
        return flash[0], flash[1], flash[6], flash[7]
    heads = query.shape[1]
    query, key, value = _rows(query), _rows(repeat_heads(key, heads)), _rows(repeat_heads(value, heads))
    bias = None if mask is None else _bias(mask, query, key)
    out, sums, seed, offset = aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, True, p, is_causal, scale=scale
    )
    return out, sums, seed, offset


def backward(
    gradient: Tensor,
    inputs: list[Tensor],
    mask: Tensor | None,
    drawn: list[Tensor],
    p: float,
    is_causal: bool,
    scale: float,
    for_mask: bool,
) -> list[Tensor]:
    """Return the gradients of the ``inputs`` query, key and value, and ``for_mask`` of the mask.

    ``drawn`` begins with what `forward` returned.
    """
    query, key, value = inputs
    out, sums, seed, offset = drawn[:4]
    gradient = _rows(gradient)
    if takes_flash(query, key, value, mask, is_causal):
        query, key, value = (_rows(x) for x in inputs)
        times = query.shape[-2], key.shape[-2]
        return list(
            aten._scaled_dot_product_flash_attention_backward(
                gradient, query, key, value, out, sums, None, None, *times, p, is_causal, seed, offset, scale=scale
            )
        )
    heads, key_heads = query.shape[1], key.shape[1]
    query, key, value = _rows(query), _rows(repeat_heads(key, heads)), _rows(repeat_heads(value, heads))
    bias = None if mask is None else _bias(mask, query, key)
    wanted = [True, True, True, for_mask]
    to_query, to_key, to_value, to_bias = aten._scaled_dot_product_efficient_attention_backward(
        gradient, query, key, value, bias, out, sums, seed, offset, p, wanted, is_causal, scale=scale
    )
    gradients = [to_query, _gather(to_key, key_heads), _gather(to_value, key_heads)]
    return [*gradients, to_bias.sum_to_size(mask.shape).to(mask.dtype)] if for_mask and mask is not None else gradients


def softmax_weights(query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool, scale: float) -> Tensor:
    """Return softmax(scale query key^T); a query that may look nowhere has weights 0, as in torch."""
    scores = (query * scale) @ key.transpose(-2, -1)
    if is_causal:
        scores = scores.masked_fill(
            torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1), -math.inf
        )
    if mask is None:
        return scores.softmax(-1)
    scores = scores.where(mask, -math.inf) if mask.dtype is torch.bool else scores + mask
    nowhere = scores.detach().amax(-1, keepdim=True) == -math.inf
    return scores.masked_fill(nowhere, 0.0).softmax(-1).masked_fill(nowhere, 0.0)


def forward_on_cpu(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: float, is_causal: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what `forward` does, with dropout from a generator of its own; of sums and offset there are none."""
    weights = softmax_weights(query, repeat_heads(key, query.shape[1]), mask, is_causal, scale)
    seed = torch.randint(2**62, (), device="cpu")
    out = (weights * _keep(weights, p, seed)) @ repeat_heads(value, query.shape[1])
    return out, weights.new_empty(0, dtype=torch.float32), seed, torch.zeros_like(seed)


def backward_on_cpu(
    gradient: Tensor,
    inputs: list[Tensor],
    mask: Tensor | None,
    drawn: list[Tensor],
    p: float,
    is_causal: bool,
    scale: float,
    for_mask: bool,
) -> list[Tensor]:
    """Return what `backward` does."""
    query, (key, value) = inputs[0], (repeat_heads(x, inputs[0].shape[1]) for x in inputs[1:])
    weights = softmax_weights(query, key, mask, is_causal, scale)
    kept = _keep(weights, p, drawn[2])
    to_weights = gradient @ value.mT * kept
    to_scores = weights * (to_weights - (to_weights * weights).sum(-1, keepdim=True))
    to_key, to_value = scale * to_scores.mT @ query, (weights * kept).mT @ gradient
    gradients = [scale * to_scores @ key, *(_gather(x, inputs[1].shape[1]) for x in (to_key, to_value))]
    return [*gradients, to_scores.sum_to_size(mask.shape)] if for_mask and mask is not None else gradients


def repeat_heads(x: Tensor, heads: int) -> Tensor:
    """Return ``x``, (..., key heads, time, channels), with each head as often as makes ``heads``."""
    return x if x.shape[-3] == heads else x.repeat_interleave(heads // x.shape[-3], -3)


def _gather(gradient: Tensor, heads: int) -> Tensor:
    """Return the gradient of ``heads`` heads from that of their repetitions."""
    return gradient if gradient.shape[1] == heads else gradient.unflatten(1, (heads, -1)).sum(2)  # type: ignore[no-untyped-call]


def _rows(x: Tensor) -> Tensor:
    """Return ``x`` with adjacent channels."""
    return x if x.stride(-1) == 1 else x.contiguous()


def _bias(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """Return ``mask`` as numbers to add, for all batches and heads, with rows where the efficient kernel takes them."""
    keys = key.shape[-2]
    if mask.dtype is torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -math.inf)
    mask = mask.to(query.dtype)
    if mask.stride(-1) != 1 or any(stride % STRIDE for stride in mask.stride()[:-1]):
        mask = F.pad(mask.contiguous(), (0, -keys % STRIDE))[..., :keys]
    return mask.expand(*query.shape[:-1], keys)


def _keep(weights: Tensor, p: float, seed: Tensor) -> Tensor:
    """Return the mask of ``seed``: 0 with probability ``p``, else 1 / (1 - p)."""
    if isinstance(seed, FakeTensor):
        return torch.empty_like(weights, memory_format=torch.contiguous_format)
    generator = torch.Generator().manual_seed(int(seed))
    drawn = torch.empty_like(weights, memory_format=torch.contiguous_format).bernoulli_(1 - p, generator=generator)
    return drawn / max(1 - p, 1e-9)
