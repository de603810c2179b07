"""The local reparameterisation: a layer with noisy weights draws one normal per output, not one per weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from adaptive_dropout.functional.inputs import check_input
from adaptive_dropout.noise.keys import draw_key
from adaptive_dropout.noise.normal import ALONE, gaussian
from adaptive_dropout.noise.settings import work_dtype

__all__ = ["Product", "noisy_product"]

Product = Callable[[Tensor, Tensor, "Tensor | None"], Tensor]
"""(x, weight, bias) -> y, linear in x and in weight: `torch.nn.functional.linear`, or a convolution."""


def noisy_product(product: Product, x: Tensor, weight: Tensor, variance: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``product(x, w, bias)`` for weights w ~ N(weight, variance), drawn anew for each output.

    An output is then normal with mean ``product(x, weight, bias)`` and variance ``product(x^2, variance)``, and is
    drawn from that. The noise of two outputs is independent, unlike that of shared noisy weights, so gradients vary
    less. They reach ``x``, ``weight``, ``variance`` and ``bias``. For the backward pass x^2 and the standard
    deviations are saved beside what ``product`` saves, but no noise.

    Args:
        product: linear in x and in weight.
        x: floating point, of the shape that ``product`` takes.
        weight: of the shape that ``product`` takes.
        variance: of the shape of ``weight``, at least 0. It is used in float32 or better, under autocast too: in
            float16 1e-8 would be 0.
        bias: added to the mean; without noise.

    Raises:
        RuntimeError: ``x`` is not floating point.

    Source: Kingma, Salimans and Welling (2015), section 2.3.
    """
    check_input(x)
    mean = product(x, weight, bias)
    work = work_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        spread = product(x.to(work).square(), variance.to(work), None)
    # Where all of x is 0, the variance is 0 too, and the slope of its root is infinite.
    std = spread.clamp(min=torch.finfo(work).tiny).sqrt()
    return (mean + gaussian(std, ALONE, draw_key(std))).to(mean.dtype)
