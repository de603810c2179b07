"""Gates and normals from random words, with the operations of the references in the same order."""

# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from adaptive_dropout.noise import normal
from adaptive_dropout.noise.cuda.laws import divided, rooted
from adaptive_dropout.noise.cuda.words import CHUNK, LEVELS

__all__ = ["box_muller", "gate_of"]

LN_2, SQRT_HALF_BITS = tl.constexpr(normal.LN_2), tl.constexpr(0x3F3504F3)
S0, S1, S2 = map(tl.constexpr, normal.SIN)
C0, C1, C2 = map(tl.constexpr, normal.COS)
L0, L1, L2, L3, L4, L5 = map(tl.constexpr, normal.LN)


@triton.jit
def gate_of(half, odds, exponent: tl.constexpr, limit: tl.constexpr, work: tl.constexpr):
    """Return k, with the operations of `gate.keep` in order."""
    u = (half.to(work) + 0.5) * (1 / LEVELS)
    base = tl.minimum(odds * divided(u, 1 - u), limit)
    return divided(tl.full((CHUNK,), 1, work), 1 + _power(base, exponent, work))


@triton.jit
def _power(base, exponent: tl.constexpr, work: tl.constexpr):
    """Return ``base`` to the ``exponent``; multiples of 1/2 up to 32 by multiplications, as on the CPU."""
    twice: tl.constexpr = int(2 * exponent)
    if twice != 2 * exponent or twice > 64:
        power = tl.exp2(exponent * tl.log2(base))
    else:
        power = rooted(base) if twice % 2 else tl.full((CHUNK,), 1, work)
        for bit in tl.static_range(6):
            if (twice // 2) >> bit & 1:
                power = power * base
            if (twice // 2) >> bit > 1:
                base = base * base
    return power


@triton.jit
def box_muller(word):
    """Return two normals for each word, with the operations of `normal.box_muller` in order."""
    bits = (((word >> 12).to(tl.float32) + 0.5) * 2.0**-20).to(tl.int32, bitcast=True)
    exponent = (bits - SQRT_HALF_BITS) >> 23
    f = (bits - (exponent << 23)).to(tl.float32, bitcast=True) - 1
    radius = tl.sqrt_rn(f * _minus_log_over(f) - exponent.to(tl.float32) * LN_2)
    t = ((word >> 2) & 1023).to(tl.float32) - 511.5
    cos, sin = radius * _cosine(t * t), radius * (t * _sine(t * t))
    return _signed(cos - sin, word), _signed(cos + sin, word >> 1)


@triton.jit
def _signed(size, word):
    return tl.where(word & 1 == 1, -size, size)


@triton.jit
def _minus_log_over(x):
    return ((((L5 * x + L4) * x + L3) * x + L2) * x + L1) * x + L0


@triton.jit
def _cosine(x):
    return (C2 * x + C1) * x + C0


@triton.jit
def _sine(x):
    return (S2 * x + S1) * x + S0
