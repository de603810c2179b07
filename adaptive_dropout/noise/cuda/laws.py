"""From p to the settings of a noise, with the operations of `adaptive_dropout.noise.settings` in order.

A law is one of the numbers `GIVEN`, `BERNOULLI`, `ALPHA`, `GAUSSIAN` and `CONCRETE`; with `GIVEN` the settings lie in a
table, (settings, columns), otherwise p does, (columns,).
"""

# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from adaptive_dropout.noise import concrete, settings
from adaptive_dropout.noise.cuda.words import LEVELS

__all__ = ["divided", "gate_settings", "keep_mean", "mask_settings", "normal_settings", "rooted"]

GIVEN, BERNOULLI = tl.constexpr(settings.GIVEN), tl.constexpr(settings.BERNOULLI.number)
PRIME, PRIME_SQUARED = tl.constexpr(settings.ALPHA_PRIME), tl.constexpr(settings.ALPHA_PRIME_SQUARED)
NODES = tl.constexpr(concrete.NODES)
ROUNDED32 = tl.constexpr(1.5 * 2.0**23)  # a number so large that adding it rounds to integers
ROUNDED64 = tl.constexpr(1.5 * 2.0**52)


@triton.jit
def mask_settings(held, column, columns, law: tl.constexpr, shifted: tl.constexpr, work: tl.constexpr):
    """Return threshold, scale, and the shifts of the kept and of the lost, which are 0 unless ``shifted``."""
    if law == GIVEN:
        dropped, scale = tl.load(held + column), tl.load(held + columns + column)
        kept, lost = 0 * scale, 0 * scale
        if shifted:
            kept, lost = tl.load(held + 2 * columns + column), tl.load(held + 3 * columns + column)
    else:
        p = tl.load(held + column).to(work)
        large: tl.constexpr = ROUNDED32 if work == tl.float32 else ROUNDED64
        dropped = (p * LEVELS + large) - large
        q = tl.maximum(-(dropped - LEVELS), 1) / LEVELS
        if law == BERNOULLI:
            scale = divided(0 * q + 1, q)
            kept, lost = 0 * q, 0 * q
        else:
            used = dropped / LEVELS
            scale = divided(0 * q + 1, rooted(q * (1 + used * PRIME_SQUARED)))
            kept, lost = 0 * q, 0 * q
            if shifted:
                kept = -scale * used * PRIME
                lost = scale * PRIME + kept
    return dropped.to(tl.int32), scale, kept, lost


@triton.jit
def normal_settings(held, column, columns, law: tl.constexpr, work: tl.constexpr):
    """Return offset and standard deviation."""
    if law == GIVEN:
        offset, std = tl.load(held + column), tl.load(held + columns + column)
    else:
        p = tl.load(held + column).to(work)
        offset = tl.where(p < 1, 0 * p + 1, 0 * p)
        std = offset * rooted(divided(p, _above_zero(p)))
    return offset, std


@triton.jit
def gate_settings(held, column, columns, law: tl.constexpr, temperature: tl.constexpr, work: tl.constexpr):
    """Return odds and scale; the scale of `adaptive_dropout.noise.concrete` except for last bits."""
    if law == GIVEN:
        odds, scale = tl.load(held + column), tl.load(held + columns + column)
    else:
        p = tl.load(held).to(work)
        odds = divided(p, _above_zero(p))
        mean, _ = keep_mean(odds, temperature, work)
        scale = tl.where(p < 1, divided(0 * p + 1, tl.maximum(mean, 1e-37)), 0 * p)
    return odds, scale


@triton.jit
def keep_mean(odds, temperature: tl.constexpr, work: tl.constexpr):
    """Return E[k] and E[k (1 - k)], averaged as in `adaptive_dropout.noise.concrete.keep_mean`."""
    n = tl.arange(0, 128)
    node = (n - NODES).to(work) / 2
    power = tl.exp(-tl.abs(node))
    weight = tl.where(n <= 2 * NODES, power / ((1 + power) * (1 + power)), 0 * power)
    raised = tl.minimum(temperature * node, 60)  # k is then 0 unless odds are, and 0 times infinity is no number
    k = 1 / (1 + odds * tl.exp(raised))
    total = tl.sum(weight, 0)
    return tl.sum(weight * k, 0) / total, tl.sum(weight * k * (1 - k), 0) / total


@triton.jit
def divided(a, b):
    """Return a / b, rounded correctly."""
    return tl.div_rn(a, b) if a.dtype == tl.float32 else a / b


@triton.jit
def rooted(x):
    """Return the square root of x, rounded correctly."""
    return tl.sqrt_rn(x) if x.dtype == tl.float32 else tl.sqrt(x)


@triton.jit
def _above_zero(p):
    """Return 1 - p, or half of an eps where that is 0."""
    smallest: tl.constexpr = 2.0**-24 if p.dtype == tl.float32 else 2.0**-53
    return tl.maximum(1 - p, smallest)
