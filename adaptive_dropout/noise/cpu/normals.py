"""The kernel of Gaussian noise."""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from adaptive_dropout.noise.cpu.words import BLOCKS, columns_of, compiled, part, rows_from, words
from adaptive_dropout.noise.normal import COS, LN, LN_2, SIN, SQRT_HALF
from adaptive_dropout.noise.philox import BLOCK, LANES

__all__ = ["gaussian"]

SPAN = LANES * BLOCK
TICK, HALF, MIDDLE, ONE = (np.float32(number) for number in (2.0**-20, 0.5, 511.5, 1))
EXPONENT = np.int32(23)  # the bits below it
SQRT_HALF_BITS = np.float32(SQRT_HALF).view(np.int32)
SINE, COSINE, LOG = (tuple(np.float32(c) for c in polynomial) for polynomial in (SIN, COS, LN))
LN_2 = np.float32(LN_2)


@compiled
def gaussian(x, out, size, key, settings, first, last):
    """Write ``x (offset + std e)``; settings as in `adaptive_dropout.noise.normal`."""
    held, ones, normals = np.empty((1, SPAN // 2), np.uint32), np.ones(SPAN, np.float32), np.empty(SPAN, np.float32)
    drawn, zero = rows_from(held, 0), np.float32(0)
    for block in range(first * BLOCKS, last * BLOCKS):
        start = block * SPAN
        column, inner, shared = columns_of(settings, size, start, SPAN)
        n = max(min(SPAN, size - start), 0)
        given, made = part(x, start, n, settings), part(out, start, n, settings)
        _fill_words(drawn, np.uint64(key), block)
        if shared:
            _gaussian_block(given, made, drawn, settings[0, column], settings[1, column])
        else:
            _gaussian_block(ones, normals, drawn, zero, ONE)
            for i in range(n):
                column = (start + i) // inner
                made[i] = given[i] * (settings[0, column] + settings[1, column] * normals[i])


@compiled
def _fill_words(drawn, key, block):
    for c in range(BLOCK):
        w0, w1, w2, w3 = words(key, np.uint64(block * BLOCK + c))
        drawn[c], drawn[BLOCK + c], drawn[2 * BLOCK + c], drawn[3 * BLOCK + c] = w0, w1, w2, w3


@compiled
def _gaussian_block(x, out, drawn, offset, std):
    for word in range(4):
        for c in range(BLOCK):
            first, second = _box_muller(drawn[word * BLOCK + c])
            i = 2 * word * BLOCK + c
            out[i] = x[i] * (offset + std * first)
            out[i + BLOCK] = x[i + BLOCK] * (offset + std * second)


@compiled
def _box_muller(word):
    """Return two normals for a word, with the operations of `normal.box_muller` in order."""
    bits = np.float32((np.float32(word >> np.uint32(12)) + HALF) * TICK).view(np.int32)
    exponent = np.int32(bits - SQRT_HALF_BITS) >> EXPONENT
    f = np.int32(bits - (exponent << EXPONENT)).view(np.float32) - ONE
    radius = np.sqrt(f * _polynomial(LOG, f) - np.float32(exponent) * LN_2)
    t = np.float32(word >> np.uint32(2) & np.uint32(1023)) - MIDDLE
    cos, sin = radius * _polynomial(COSINE, t * t), radius * (t * _polynomial(SINE, t * t))
    first, second = cos - sin, cos + sin
    return -first if word & np.uint32(1) else first, -second if word & np.uint32(2) else second


@compiled
def _polynomial(coefficients, x):
    value = coefficients[-1]
    for n in range(2, len(coefficients) + 1):
        value = value * x + coefficients[-n]
    return value
