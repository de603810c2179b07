"""Each noise as a function of (x, p, key), and its reference in torch operations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from adaptive_dropout.noise.fused import mask_add, mask_add_reference, relu_mask, relu_mask_reference
from adaptive_dropout.noise.gate import gate, gate_reference
from adaptive_dropout.noise.mask import mask, mask_reference
from adaptive_dropout.noise.normal import gaussian, gaussian_reference
from adaptive_dropout.noise.philox import LEVELS

__all__ = ["NOISES", "Noise"]

Noise = Callable[[Tensor, Tensor, Tensor], Tensor]


def masked(function: Callable[..., Tensor]) -> Noise:
    def noise(x: Tensor, p: Tensor, key: Tensor) -> Tensor:
        dropped = (p * LEVELS).round()
        return function(x, torch.stack((dropped, LEVELS / (LEVELS - dropped).clamp(min=1))), key)

    return noise


def shifted(function: Callable[..., Tensor]) -> Noise:
    return lambda x, p, key: function(x, torch.stack(((p * LEVELS).round(), 1 + p, p / 3, -p)), key)


def added(function: Callable[..., Tensor]) -> Noise:
    return masked(lambda x, settings, key: function(x, x.flip(0), settings, key))


def rectified(function: Callable[..., Tensor]) -> Noise:
    return masked(lambda x, settings, key: function(x, x.reshape(-1, x.shape[-1])[0], settings, key))


def normal(function: Callable[..., Tensor]) -> Noise:
    return lambda x, p, key: function(x, (p < 1).to(p.dtype), p + p * p, key)


def concrete(function: Callable[..., Tensor], temperature: float) -> Noise:
    return lambda x, p, key: function(x, p / (1 - p).clamp(min=1e-7), 1 + p, 1 / temperature, key)


NOISES: dict[str, tuple[Noise, Noise]] = {
    "mask": (masked(mask), masked(mask_reference)),
    "alpha": (shifted(mask), shifted(mask_reference)),
    "mask_add": (added(mask_add), added(mask_add_reference)),
    "relu_mask": (rectified(relu_mask), rectified(relu_mask_reference)),
    "gaussian": (normal(gaussian), normal(gaussian_reference)),
    "gate, T = 0.1": (concrete(gate, 0.1), concrete(gate_reference, 0.1)),
    "gate, T = 2/3": (concrete(gate, 2 / 3), concrete(gate_reference, 2 / 3)),
}
