"""The three noises as functions of (x, p, key), each with its slow reference, and inputs of many shapes and strides.

Settings are divided by powers of two only: torch divides by another number on CUDA by a product with its reciprocal,
so that what the noises are given would differ between devices in its last bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from adaptive_dropout.noise.fused import mask_add, mask_add_reference, relu_mask, relu_mask_reference
from adaptive_dropout.noise.gate import gate, gate_reference
from adaptive_dropout.noise.mask import mask, mask_reference
from adaptive_dropout.noise.normal import gaussian_learned, gaussian_reference
from adaptive_dropout.noise.philox import LEVELS

Noise = Callable[[Tensor, Tensor, Tensor], Tensor]


def masked(function: Callable[..., Tensor]) -> Noise:
    def noise(x: Tensor, p: Tensor, key: Tensor) -> Tensor:
        dropped = (p * LEVELS).round()
        return function(x, torch.stack((dropped, LEVELS / (LEVELS - dropped).clamp(min=1))), key)

    return noise


def shifted(function: Callable[..., Tensor]) -> Noise:
    def noise(x: Tensor, p: Tensor, key: Tensor) -> Tensor:
        dropped = (p * LEVELS).round()
        return function(x, torch.stack((dropped, 1 + p, p / 4, -p)), key)

    return noise


def added(function: Callable[..., Tensor]) -> Noise:
    """The residual is x in another order."""
    return masked(lambda x, settings, key: function(x, x.flatten().flip(0).reshape(x.shape), settings, key))


def rectified(function: Callable[..., Tensor]) -> Noise:
    """The bias is that of the first row of x, 0-dim input has none."""

    def noise(x: Tensor, settings: Tensor, key: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1] if x.dim() else 1)
        return function(x if x.dim() else rows[0], rows[:1].sum(0) / 4, settings, key).reshape(x.shape)

    return masked(noise)


def normal(function: Callable[..., Tensor]) -> Noise:
    return lambda x, p, key: function(x, (p < 1).to(p.dtype), p + p * p, key)


def learned_reference(x: Tensor, offset: Tensor, std: Tensor, key: Tensor) -> Tensor:
    return gaussian_reference(x, torch.stack((offset, std)), key)


def concrete(function: Callable[..., Tensor], temperature: float) -> Noise:
    return lambda x, p, key: function(x, p / (1 - p).clamp(min=1e-7), 1 + p, 1 / temperature, key)


PAIRS: dict[str, tuple[Noise, Noise]] = {
    "mask": (masked(mask), masked(mask_reference)),
    "shifted mask": (shifted(mask), shifted(mask_reference)),
    "mask and residual": (added(mask_add), added(mask_add_reference)),
    "bias, relu and mask": (rectified(relu_mask), rectified(relu_mask_reference)),
    "gaussian": (normal(gaussian_learned), normal(learned_reference)),
    "gate at 0.1": (concrete(gate, 0.1), concrete(gate_reference, 0.1)),
    "gate at 2/3": (concrete(gate, 2 / 3), concrete(gate_reference, 2 / 3)),
}
PS = [0.0, 0.001, 0.3, 0.999, 1.0]
KEY = torch.tensor(0x123456789ABCDEF)


def layouts(dtype: torch.dtype) -> dict[str, Tensor]:
    x = torch.randn(3, 5, 7, 41, dtype=torch.float64).to(dtype)  # 4305 elements, no multiple of anything
    return {
        "one": x[0, 0, 0, :1],
        "0-dim": x[0, 0, 0, 0],
        "empty": x[:0],
        "a prime": x.flatten()[:2053],
        "whole blocks": torch.randn(2, 2048).to(dtype),
        "contiguous": x,
        "channels last": x.to(memory_format=torch.channels_last),
        "transposed": x.transpose(0, 3),
        "sliced": x[:, ::2, :, 1::3],
        "expanded": x[:1, :, :1].expand(3, 5, 7, 41),
    }


def p_shapes(x: Tensor) -> list[tuple[int, ...]]:
    """A p for all, for each example, for each channel, for each feature, and for each element."""
    shapes = [(), (x.shape[0], *[1] * (x.dim() - 1)), (1, x.shape[1], *[1] * (x.dim() - 2)), tuple(x.shape[-1:])]
    return [*shapes, tuple(x.shape)]
