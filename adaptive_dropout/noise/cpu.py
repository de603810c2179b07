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

__all__ = ["gate", "gate_sums", "gaussian", "mask", "mask_values"]

compiled = njit(cache=True, nogil=True, error_model="numpy")  # Python's would test each divisor

M0, M1 = (np.uint64(multiplier) for multiplier in MULTIPLIERS)
W0, W1 = (np.uint32(weyl) for weyl in WEYL)
HIGH = np.uint64(32)
TICK = np.float32(2.0**-32)
HALF_TICK = np.float32(2.0**-23)
HALF = np.float32(0.5)
SQRT_HALF_BITS = np.float32(SQRT_HALF).view(np.int32)
MINUS_2 = np.float32(-2)
SINE, COSINE, LOG = (tuple(np.float32(c) for c in polynomial) for polynomial in (SIN, COS, LN))
LN_2_HIGH, LN_2_LOW = (np.float32(c) for c in LN_2)


@compiled
def mask(x, out, key, levels, span):
    """Write ``x`` times the scale, plus the shift; settings as in `adaptive_dropout.noise.mask`."""
    words = np.empty((4, BLOCK), np.uint32)
    for block in range(span[0], span[1]):
        _fill_words(words, key, block)
        for lane in range(8):
            start, stop = _lane(8 * block + lane, x.size)
            i = start
            while i < stop:
                end, settings = _piece(levels, x.size, i, stop)
                _mask_lane(x[i:end], out[i:end], words[lane // 2, i - start :], np.uint32(16 * (lane % 2)), settings)
                i = end


@compiled
def mask_values(out, key, dropped, scale):
    """Write what `mask` multiplies by: the scale where an element is kept, else 0; one block at most."""
    words = np.empty((4, BLOCK), np.uint32)
    _fill_words(words, key, 0)
    for i in range(out.size):
        shift = np.uint32(16 * (i // BLOCK % 2))
        keep = np.int32(words[i // (2 * BLOCK), i % BLOCK] >> shift & np.uint32(0xFFFF)) >= dropped
        out[i] = scale if keep else 0


@compiled
def gaussian(x, out, key, levels, span):
    """Write ``x (offset + std e)``; settings as in `adaptive_dropout.noise.normal`."""
    words, normals = np.empty((4, BLOCK), np.uint32), np.empty((4, BLOCK), np.float32)
    for block in range(span[0], span[1]):
        _fill_words(words, key, block)
        _fill_normals(normals[:2], words[:2])
        _fill_normals(normals[2:], words[2:])
        for lane in range(4):
            start, stop = _lane(4 * block + lane, x.size)
            i = start
            while i < stop:
                end, settings = _piece(levels, x.size, i, stop)
                _gaussian_lane(x[i:end], out[i:end], normals[lane, i - start :], settings)
                i = end


@compiled
def gate(x, out, key, levels, span):
    """Write ``x scale k``; settings as in `adaptive_dropout.noise.gate`."""
    words, scratch = np.empty((4, BLOCK), np.uint32), np.empty((2, BLOCK), x.dtype)
    for block in range(span[0], span[1]):
        _fill_words(words, key, block)
        for lane in range(4):
            start, stop = _lane(4 * block + lane, x.size)
            i = start
            while i < stop:
                end, settings = _piece(levels, x.size, i, stop)
                _fill_gates(scratch[0], scratch[1], words[lane, i - start :], settings, end - i)
                _gate_lane(x[i:end], out[i:end], scratch[0], settings[1])
                i = end


@compiled
def gate_sums(factors, sums, key, levels, span):
    """Write the sums of a b k and a b k (1 - k) over each block, ``factors`` a and b, into ``sums``, (2, blocks)."""
    x, gradient = factors
    words, scratch = np.empty((4, BLOCK), np.uint32), np.empty((2, BLOCK), x.dtype)
    parts = np.empty((2, BLOCK))
    for block in range(span[0], span[1]):
        _fill_words(words, key, block)
        parts[:] = 0
        for lane in range(4):
            start, stop = _lane(4 * block + lane, x.size)
            _fill_gates(scratch[0], scratch[1], words[lane], levels[:, 0], stop - start)
            _add_products(x[start:stop], gradient[start:stop], scratch, parts)
        sums[0, block], sums[1, block] = _sum(parts[0]), _sum(parts[1])


@compiled
def _lane(number, size):
    return min(number * BLOCK, size), min((number + 1) * BLOCK, size)


@compiled
def _piece(levels, size, start, stop):
    """Return where the elements from ``start`` on that have the same settings end, and these settings."""
    inner = size // levels.shape[1]
    column = start // inner
    return min(stop, (column + 1) * inner), levels[:, column]


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
    dropped, scale, zero = np.int32(settings[0]), settings[1], x.dtype.type(0)
    kept = lost = -zero  # which leaves an x of -0.0 as it is
    if settings.size > 2:
        kept, lost = settings[2], settings[3]
    for c in range(x.size):
        keep = np.int32(words[c] >> shift & np.uint32(0xFFFF)) >= dropped
        out[c] = x[c] * (scale if keep else zero) + (kept if keep else lost)


@compiled
def _fill_normals(normals, words):
    """Write two rows of standard normals for two rows of words, with the operations of `normal.box_muller` in order."""
    u = np.empty(BLOCK, np.float32)
    for c in range(BLOCK):
        u[c] = (np.float32(words[0, c]) + HALF) * TICK
    bits = u.view(np.int32)
    for c in range(BLOCK):
        exponent = np.int32(bits[c] - SQRT_HALF_BITS) >> np.int32(23)
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
        out[c] = x[c] * (offset + std * normals[c])


@compiled
def _fill_gates(keep, base, words, settings, size):
    """Write k into ``keep``, with the operations of `gate.keep` in order; ``base`` is scratch."""
    odds, exponent, limit = settings[0], settings[2], settings[3]
    one, half, tick = keep.dtype.type(1), keep.dtype.type(0.5), keep.dtype.type(2.0**-23)
    for c in range(size):
        u = (keep.dtype.type(words[c] >> np.uint32(9)) + half) * tick
        value = odds * (u / (one - u))
        base[c] = value if value < limit else limit
    _raise(keep, base, exponent, size)
    for c in range(size):
        keep[c] = one / (one + keep[c])


@compiled
def _raise(power, base, exponent, size):
    """Write ``base`` to the ``exponent``; a multiple of 1/2 up to 32 by multiplications, which vectorise."""
    twice = int(2 * exponent)
    if twice != 2 * exponent or twice > 64:
        for c in range(size):
            power[c] = base[c] ** exponent
        return
    if twice % 2:
        for c in range(size):
            power[c] = np.sqrt(base[c])
    else:
        power[:size] = 1
    n = twice // 2
    while n:
        if n % 2:
            for c in range(size):
                power[c] *= base[c]
        for c in range(size):
            base[c] *= base[c]
        n //= 2


@compiled
def _gate_lane(x, out, keep, scale):
    for c in range(x.size):
        out[c] = x[c] * (scale * keep[c])


@compiled
def _add_products(x, gradient, scratch, parts):
    keep, product, one = scratch[0], scratch[1], x.dtype.type(1)
    for c in range(x.size):  # three loops, each of few enough arrays to be vectorised
        product[c] = gradient[c] * x[c] * keep[c]
    for c in range(x.size):
        parts[0, c] += product[c]
    for c in range(x.size):
        parts[1, c] += product[c] * (one - keep[c])


@compiled
def _sum(parts):
    """Return the sum of ``parts``, which it overwrites, in halves: one after the other would not vectorise."""
    half = parts.size // 2
    while half:
        for c in range(half):
            parts[c] += parts[c + half]
        half //= 2
    return parts[0]
