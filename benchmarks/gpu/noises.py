"""Each noise as a function of (x, p, key), and its reference in torch operations.

On a device kernels make the settings of a noise from p themselves, as in the layers; references take them from a table.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from adaptive_dropout.noise.concrete import concrete, odds_and_scale
from adaptive_dropout.noise.fused import mask_add, mask_add_reference, relu_mask, relu_mask_reference
from adaptive_dropout.noise.gate import gate, gate_reference
from adaptive_dropout.noise.mask import mask, mask_reference
from adaptive_dropout.noise.normal import gaussian, gaussian_reference
from adaptive_dropout.noise.settings import ALPHA, BERNOULLI, GAUSSIAN, Law, OfP, Settings, work_dtype

__all__ = ["NOISES", "Noise"]

Noise = Callable[[Tensor, Tensor, Tensor], Tensor]
Function = Callable[[Tensor, Settings, Tensor], Tensor]


def pair(function: Function, reference: Function, law: Law) -> tuple[Noise, Noise]:
    def on_table(x: Tensor, p: Tensor, key: Tensor) -> Tensor:
        return reference(x, law.table(p.to(work_dtype(x))), key)

    def on_device(x: Tensor, p: Tensor, key: Tensor) -> Tensor:
        return function(x, OfP(p, law) if x.is_cuda else law.table(p.to(work_dtype(x))), key)

    return on_device, on_table


def added(function: Callable[..., Tensor]) -> Function:
    return lambda x, settings, key: function(x, x.flip(0), settings, key)


def rectified(function: Callable[..., Tensor]) -> Function:
    return lambda x, settings, key: function(x, x.reshape(-1, x.shape[-1])[0], settings, key)


def gated(temperature: float) -> tuple[Noise, Noise]:
    """The same odds and scale for both: those of the noise are made by different operations, in `concrete_of_p`."""

    def noise(function: Callable[..., Tensor]) -> Noise:
        return lambda x, p, key: function(x, p / (1 - p).clamp(min=1e-7), 1 + p, 1 / temperature, key)

    return noise(gate), noise(gate_reference)


def concrete_of_p(temperature: float) -> tuple[Noise, Noise]:
    def reference(x: Tensor, p: Tensor, key: Tensor) -> Tensor:
        return gate_reference(x, *odds_and_scale(p.to(work_dtype(x)), temperature), 1 / temperature, key)

    return lambda x, p, key: concrete(x, p.to(work_dtype(x)), temperature, key), reference


NOISES: dict[str, tuple[Noise, Noise]] = {
    "mask": pair(mask, mask_reference, BERNOULLI),
    "alpha": pair(mask, mask_reference, ALPHA),
    "mask_add": pair(added(mask_add), added(mask_add_reference), BERNOULLI),
    "relu_mask": pair(rectified(relu_mask), rectified(relu_mask_reference), BERNOULLI),
    "gaussian": pair(gaussian, gaussian_reference, GAUSSIAN),
    "gate, T = 0.1": gated(0.1),
    "gate, T = 2/3": gated(2 / 3),
    "concrete": concrete_of_p(0.1),
}
