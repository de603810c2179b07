"""The kernel of Gaussian noise."""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from adaptive_dropout.noise.cpu.words import BLOCKS, columns_of, compiled, fill_words, part, rows_from
from adaptive_dropout.noise.normal import COS, LN, LN_2, SIN, SQRT_HALF
from adaptive_dropout.noise.philox import BLOCK, CHUNK

__all__ = ["gaussian"]

SPAN = 4 * BLOCK
TICK = np.float32(2.0**-32)
HALF_TICK = np.float32(2.0**-23)
HALF = np.float32(0.5)
SQRT_HALF_BITS = np.float32(SQRT_HALF).view(np.int32)
MINUS_2 = np.float32(-2)
SINE, COSINE, LOG = (tuple(np.float32(c) for c in polynomial) for polynomial in (SIN, COS, LN))
LN_2_HIGH, LN_2_LOW = (np.float32(c) for c in LN_2)


@compiled
def gaussian(x, out, size, key, levels, first, last):
    """Write ``x (offset + std e)``; settings as in `adaptive_dropout.noise.normal`."""
    words, normals = np.empty((4, CHUNK), np.uint32), np.empty((4, CHUNK), np.float32)
    uniforms = np.empty(CHUNK, np.float32)
    for chunk in range(first, last):
        fill_words(words, key, chunk)
        _fill_normals(normals, words, uniforms, 0)
        _fill_normals(normals, words, uniforms, 2)
        for b in range(BLOCKS):
            start = (chunk * BLOCKS + b) * SPAN
            column, inner, shared = columns_of(levels, size, start, SPAN)
            n = max(min(SPAN, size - start), 0)
            given, made = part(x, start, n, levels), part(out, start, n, levels)
            if shared:
                _gaussian_block(given, made, rows_from(normals, b * BLOCK), levels[0, column], levels[1, column])
            else:
                for i in range(n):
                    column, e = (start + i) // inner, normals[i // BLOCK, b * BLOCK + i % BLOCK]
                    made[i] = given[i] * (levels[0, column] + levels[1, column] * e)


@compiled
def _gaussian_block(x, out, e, offset, std):
    for c in range(BLOCK):
        for lane in range(4):
            out[lane * BLOCK + c] = x[lane * BLOCK + c] * (offset + std * e[lane * CHUNK + c])


@compiled
def _fill_normals(normals, words, u, row):
    """Write two rows of standard normals for two of words, with the operations of `normal.box_muller` in order."""
    for c in range(CHUNK):
        u[c] = (np.float32(words[row, c]) + HALF) * TICK
    bits = u.view(np.int32)
    for c in range(CHUNK):
        exponent = np.int32(bits[c] - SQRT_HALF_BITS) >> np.int32(23)
        normals[row + 1, c] = np.float32(exponent)
        bits[c] -= exponent << np.int32(23)
    for c in range(CHUNK):
        f, exponent, word = u[c] - np.float32(1), normals[row + 1, c], words[row + 1, c]
        log = _polynomial(LOG, f) * f * (f * f) + exponent * LN_2_LOW - HALF * (f * f) + f + exponent * LN_2_HIGH
        radius = np.sqrt(MINUS_2 * log)
        t = (np.float32(word >> np.uint32(9)) + HALF) * HALF_TICK - HALF
        signed = radius if word & np.uint32(1) else -radius
        normals[row, c] = signed * _polynomial(COSINE, t * t)
        normals[row + 1, c] = signed * (t * _polynomial(SINE, t * t))


@compiled
def _polynomial(coefficients, x):
    value = coefficients[-1]
    for n in range(2, len(coefficients) + 1):
        value = value * x + coefficients[-n]
    return value
