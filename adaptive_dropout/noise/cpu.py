"""Kernels for the CPU: the bits of `philox`, used while they are in the cache.

Each takes flat arrays; a key; ``levels``, (settings, columns), where each column serves as many neighbouring elements;
and ``span``, the blocks from and to. They release the GIL, are compiled when first called and then kept on disk. They
share a file because numba compiles anew when the file of a kernel changes, not when that of a function it calls does.
"""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np
from numba import njit

from adaptive_dropout.noise.normal import COS, LN, LN_2, SIN, SQRT_HALF
from adaptive_dropout.noise.philox import BLOCK, MULTIPLIERS, ROUNDS, WEYL

__all__ = ["gate", "gate_sums", "gaussian", "mask"]

compiled = njit(cache=True, nogil=True)

M0, M1 = (np.uint64(multiplier) for multiplier in MULTIPLIERS)
W0, W1 = (np.uint32(weyl) for weyl in WEYL)
HIGH = np.uint64(32)
TICK = np.float32(2.0**-32)
HALF_TICK = np.float32(2.0**-23)
HALF = np.float32(0.5)
MINUS_2 = np.float32(-2)
SINE, COSINE, LOG = (tuple(np.float32(c) for c in polynomial) for polynomial in (SIN, COS, LN))
LN_2_HIGH, LN_2_LOW = (np.float32(c) for c in LN_2)


@compiled
def mask(x, out, key, levels, span):
    """Write ``x`` times the scale, plus the shift; settings as in `adaptive_dropout.noise.mask`."""
    words, settings = np.empty((4, BLOCK), np.uint32), _settings(levels)
    for block in range(span[0], span[1]):
        _fill_words(words, key, block)
        for lane in range(8):
            start, stop = _lane(8 * block + lane, x.size)
            _spread(settings, levels, x.size, start, stop)
            _mask_lane(x[start:stop], out[start:stop], words[lane // 2], np.uint32(16 * (lane % 2)), settings)


@compiled
def gaussian(x, out, key, levels, span):
    """Write ``x (offset + std e)``; settings as in `adaptive_dropout.noise.normal`."""
    words, settings = np.empty((4, BLOCK), np.uint32), _settings(levels)
    normals = np.empty((4, BLOCK), np.float32)
    for block in range(span[0], span[1]):
        _fill_words(words, key, block)
        _fill_normals(normals[:2], words[:2])
        _fill_normals(normals[2:], words[2:])
        for lane in range(4):
            start, stop = _lane(4 * block + lane, x.size)
            _spread(settings, levels, x.size, start, stop)
            _gaussian_lane(x[start:stop], out[start:stop], normals[lane], settings)


@compiled
def gate(x, out, key, levels, span):
    """Write ``x scale k``; settings as in `adaptive_dropout.noise.gate`."""
    words, settings = np.empty((4, BLOCK), np.uint32), _settings(levels)
    scratch = np.empty((2, BLOCK), x.dtype)
    for block in range(span[0], span[1]):
        _fill_words(words, key, block)
        for lane in range(4):
            start, stop = _lane(4 * block + lane, x.size)
            _spread(settings, levels, x.size, start, stop)
            _fill_gates(scratch, words[lane], settings, stop - start)
            _gate_lane(x[start:stop], out[start:stop], scratch[0], settings)


@compiled
def gate_sums(factors, sums, key, levels, span):
    """Write the sums of a b k and a b k (1 - k) over each block, ``factors`` a and b, into ``sums``, (2, blocks)."""
    x, gradient = factors
    words, settings = np.empty((4, BLOCK), np.uint32), _settings(levels)
    scratch = np.empty((2, BLOCK), x.dtype)
    for block in range(span[0], span[1]):
        _fill_words(words, key, block)
        sums[0, block] = sums[1, block] = 0
        for lane in range(4):
            start, stop = _lane(4 * block + lane, x.size)
            _fill_gates(scratch, words[lane], settings, stop - start)
            _add_sums(x[start:stop], gradient[start:stop], scratch[0], sums[:, block])


@compiled
def _lane(number, size):
    return min(number * BLOCK, size), min((number + 1) * BLOCK, size)


@compiled
def _settings(levels):
    settings = np.empty((levels.shape[0], BLOCK), levels.dtype)
    if levels.shape[1] == 1:
        settings[:] = levels
    return settings


@compiled
def _spread(settings, levels, size, start, stop):
    """Write the settings of the elements from ``start`` to ``stop``, unless there is one column for all."""
    if levels.shape[1] == 1 or start >= stop:
        return
    inner = size // levels.shape[1]
    if start // inner == (stop - 1) // inner:
        for s in range(levels.shape[0]):
            settings[s] = levels[s, start // inner]
    else:
        for i in range(start, stop):
            settings[:, i - start] = levels[:, i // inner]


@compiled
def _fill_words(words, key, block):
    low, high = np.uint32(key), np.uint32(key >> HIGH)
    for c in range(BLOCK):
        counter = np.uint64(block) * np.uint64(BLOCK) + np.uint64(c)
        c0, c1, c2, c3 = np.uint32(counter), np.uint32(counter >> HIGH), np.uint32(0), np.uint32(0)
        k0, k1 = low, high
        for _ in range(ROUNDS):
            a, b = np.uint64(c0) * M0, np.uint64(c2) * M1
            c0, c1, c2, c3 = np.uint32(b >> HIGH) ^ c1 ^ k0, np.uint32(b), np.uint32(a >> HIGH) ^ c3 ^ k1, np.uint32(a)
            k0, k1 = np.uint32(k0 + W0), np.uint32(k1 + W1)
        words[0, c], words[1, c], words[2, c], words[3, c] = c0, c1, c2, c3


@compiled
def _mask_lane(x, out, words, shift, settings):
    dropped, scale, kept, lost = settings[0], settings[1], settings[2], settings[3]
    zero = x.dtype.type(0)
    for c in range(x.size):
        keep = np.int32(words[c] >> shift & np.uint32(0xFFFF)) >= np.int32(dropped[c])
        out[c] = x[c] * (scale[c] if keep else zero) + (kept[c] if keep else lost[c])


@compiled
def _fill_normals(normals, words):
    """Write two rows of standard normals for two rows of words, with the operations of `normal.box_muller` in order."""
    u = np.empty(BLOCK, np.float32)
    for c in range(BLOCK):
        u[c] = (np.float32(words[0, c]) + HALF) * TICK
    bits = u.view(np.int32)
    for c in range(BLOCK):
        exponent = np.int32(bits[c] - np.int32(SQRT_HALF)) >> np.int32(23)
        normals[1, c] = np.float32(exponent)
        bits[c] -= exponent << np.int32(23)
    for c in range(BLOCK):
        f, exponent = u[c] - np.float32(1), normals[1, c]
        log = _polynomial(LOG, f) * f * (f * f) + exponent * LN_2_LOW - HALF * (f * f) + f + exponent * LN_2_HIGH
        radius = np.sqrt(MINUS_2 * log)
        t = (np.float32(words[1, c] >> np.uint32(9)) + HALF) * HALF_TICK - HALF
        signed = radius if words[1, c] & np.uint32(1) else -radius
        normals[0, c] = signed * _polynomial(COSINE, t * t)
        normals[1, c] = signed * (t * _polynomial(SINE, t * t))


@compiled
def _polynomial(coefficients, x):
    value = coefficients[-1]
    for n in range(2, len(coefficients) + 1):
        value = value * x + coefficients[-n]
    return value


@compiled
def _gaussian_lane(x, out, normals, settings):
    offset, std = settings[0], settings[1]
    for c in range(x.size):
        out[c] = x[c] * (offset[c] + std[c] * normals[c])


@compiled
def _fill_gates(scratch, words, settings, size):
    """Write k into the first row, with the operations of `gate.keep` in order."""
    keep, base = scratch
    odds, limit, exponent = settings[0], settings[3], settings[2, 0]
    one, half, tick = keep.dtype.type(1), keep.dtype.type(0.5), keep.dtype.type(2.0**-23)
    for c in range(size):
        u = (keep.dtype.type(words[c] >> np.uint32(9)) + half) * tick
        base[c] = min(odds[c] * (u / (one - u)), limit[c])
    _raise(keep[:size], base[:size], exponent)
    for c in range(size):
        keep[c] = one / (one + keep[c])


@compiled
def _raise(power, base, exponent):
    """Write ``base`` to the ``exponent``; a multiple of 1/2 up to 32 by multiplications, which vectorise."""
    twice = int(2 * exponent)
    if twice != 2 * exponent or twice > 64:
        for c in range(base.size):
            power[c] = base[c] ** exponent
        return
    for c in range(base.size):
        power[c] = np.sqrt(base[c]) if twice % 2 else base.dtype.type(1)
    n = twice // 2
    while n:
        if n % 2:
            power *= base
        base *= base
        n //= 2


@compiled
def _gate_lane(x, out, keep, settings):
    scale = settings[1]
    for c in range(x.size):
        out[c] = x[c] * (scale[c] * keep[c])


@compiled
def _add_sums(x, gradient, keep, sums):
    one, total, slope = x.dtype.type(1), 0.0, 0.0
    for c in range(x.size):
        kept = gradient[c] * x[c] * keep[c]
        total += kept
        slope += kept * (one - keep[c])
    sums[0] += total
    sums[1] += slope
