"""What is made of random words: masks, gates and normals, with the operations of the twins in order."""

# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from adaptive_dropout.noise import normal
from adaptive_dropout.noise.cuda.words import CHUNK, LEVELS

__all__ = ["box_muller", "gate_of", "keep_or_drop"]

LN_2_HIGH, LN_2_LOW = (tl.constexpr(c) for c in normal.LN_2)
SQRT_HALF = tl.constexpr(normal.SQRT_HALF)
S0, S1, S2, S3, S4, S5 = map(tl.constexpr, normal.SIN)
C0, C1, C2, C3, C4, C5, C6 = map(tl.constexpr, normal.COS)
L0, L1, L2, L3, L4, L5, L6, L7, L8 = map(tl.constexpr, normal.LN)


@triton.jit
def keep_or_drop(half, settings, columns):
    """Return which elements are kept, and what each is multiplied by."""
    keep, scale = half >= tl.load(settings).to(tl.int32), tl.load(settings + columns)
    return keep, tl.where(keep, scale, 0 * scale)


@triton.jit
def gate_of(half, odds, exponent: tl.constexpr, limit: tl.constexpr, work: tl.constexpr):
    """Return k, with the operations of `gate.keep` in order."""
    u = (half.to(work) + 0.5) * (1 / LEVELS)
    base = tl.minimum(odds * _divided(u, 1 - u), limit)
    return _divided(tl.full((CHUNK,), 1, work), 1 + _power(base, exponent, work))


@triton.jit
def _divided(a, b):
    return tl.div_rn(a, b) if a.dtype == tl.float32 else a / b


@triton.jit
def _rooted(x):
    return tl.sqrt_rn(x) if x.dtype == tl.float32 else tl.sqrt(x)


@triton.jit
def _power(base, exponent: tl.constexpr, work: tl.constexpr):
    """Return ``base`` to the ``exponent``; a multiple of 1/2 up to 32 by multiplications, as on the CPU."""
    twice: tl.constexpr = int(2 * exponent)
    if twice != 2 * exponent or twice > 64:
        power = tl.exp2(exponent * tl.log2(base))
    else:
        power = _rooted(base) if twice % 2 else tl.full((CHUNK,), 1, work)
        for bit in tl.static_range(6):
            if (twice // 2) >> bit & 1:
                power = power * base
            if (twice // 2) >> bit > 1:
                base = base * base
    return power


@triton.jit
def box_muller(first, second):
    """Return two normals for each pair of words, with the operations of `normal.box_muller` in order."""
    u = (first.to(tl.float32) + 0.5) * 2.0**-32
    bits = u.to(tl.int32, bitcast=True)
    exponent = (bits - 0x3F3504F3) >> 23
    f = (bits - (exponent << 23)).to(tl.float32, bitcast=True) - 1
    n = exponent.to(tl.float32)
    log = _log_rest(f) * f * (f * f) + n * LN_2_LOW - 0.5 * (f * f) + f + n * LN_2_HIGH
    radius = tl.sqrt_rn(-2 * log)
    t = ((second >> 9).to(tl.float32) + 0.5) * 2.0**-23 - 0.5
    signed = tl.where(second & 1 == 1, radius, -radius)
    return signed * _cosine(t * t), signed * (t * _sine(t * t))


@triton.jit
def _log_rest(x):
    return (((((((L8 * x + L7) * x + L6) * x + L5) * x + L4) * x + L3) * x + L2) * x + L1) * x + L0


@triton.jit
def _cosine(x):
    return (((((C6 * x + C5) * x + C4) * x + C3) * x + C2) * x + C1) * x + C0


@triton.jit
def _sine(x):
    return ((((S5 * x + S4) * x + S3) * x + S2) * x + S1) * x + S0
