"""Kernels that make the gradient of p from the sums of a backward pass, one for each chunk."""

# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from adaptive_dropout.noise.cuda.laws import divided, gate_settings, keep_mean, rooted
from adaptive_dropout.noise.cuda.words import kernel

__all__ = ["concrete_slope", "gaussian_slope"]


@kernel
def gaussian_slope(sums, out, held, size: tl.int64, work: tl.constexpr):
    """Write the gradient of p from the sums of `gaussian_backward`, of ``size`` chunks."""
    p = tl.load(held).to(work)
    q = tl.maximum(1 - p, 1e-16)
    std = rooted(divided(p, q))
    tl.store(out, _sum(sums, size).to(work) * tl.where(p < 1, 0.5 / (std * q * q), 0 * p))


@kernel
def concrete_slope(sums, out, held, size: tl.int64, temperature: tl.constexpr, work: tl.constexpr):
    """Write the gradient of p from the sums of `gate_backward`, of ``size`` chunks.

    With c = 1 / (p (1 - p)): d ln odds / dp = c, so dk / dp = -c k (1 - k) / T and dE[k] / dp = -c E[k (1 - k)].
    """
    p = tl.load(held).to(work)
    c = 1 / tl.maximum(p * (1 - p), 1e-30)
    odds, scale = gate_settings(held, 0, 1, -1, temperature, work)
    _, slope = keep_mean(odds, temperature, work)
    of_k, of_slope = _sum(sums, size).to(work), _sum(sums + size, size).to(work)
    tl.store(out, c * (of_k * scale * scale * slope - of_slope * scale / temperature))


@triton.jit
def _sum(values, size):
    """Return the sum of ``size`` numbers, in float64."""
    total = tl.zeros((1024,), tl.float64)
    for start in range(0, size, 1024):
        i = start + tl.arange(0, 1024)
        total += tl.load(values + i, i < size, other=0).to(tl.float64)
    return tl.sum(total, 0)
