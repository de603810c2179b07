"""Kernels for the CPU: the bits of `philox`, used while they are in the cache.

Each takes the addresses of contiguous arrays and their size; a key; ``levels``, (settings, columns), of the arrays'
dtype, where each column serves as many neighbouring elements; and the blocks from ``first`` to ``last``. They release
the GIL, are compiled when first called and then kept on disk. They share a file because numba compiles anew when the
file of a kernel changes, not when that of a function it calls does.
"""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from adaptive_dropout.noise.normal import COS, LN, LN_2, SIN, SQRT_HALF
from adaptive_dropout.noise.philox import BLOCK, LEVELS, LOW, MULTIPLIERS, ROUNDS, WEYL

__all__ = ["gate", "gate_backward", "gaussian", "mask", "mask_add", "mask_values", "relu_mask"]

compiled = njit(cache=True, nogil=True, error_model="numpy")  # Python's would test each divisor

M0, M1 = (np.uint64(multiplier) for multiplier in MULTIPLIERS)
W0, W1 = (np.uint64(weyl) for weyl in WEYL)
LOW, HIGH = np.uint64(LOW), np.uint64(32)
WORD = np.uint32(0)
TICK = np.float32(2.0**-32)
HALF_TICK = np.float32(2.0**-23)
HALF = np.float32(0.5)
SQRT_HALF_BITS = np.float32(SQRT_HALF).view(np.int32)
MINUS_2 = np.float32(-2)
SINE, COSINE, LOG = (tuple(np.float32(c) for c in polynomial) for polynomial in (SIN, COS, LN))
LN_2_HIGH, LN_2_LOW = (np.float32(c) for c in LN_2)


@compiled
def mask(x, out, size, key, levels, first, last):
    """Write ``x`` times the scale, plus the shift; settings as in `adaptive_dropout.noise.mask`."""
    words = np.empty((4, BLOCK), np.uint32)
    for block in range(first, last):
        _fill_words(words, key, block)
        for lane in range(8):
            start, stop = _lane(8 * block + lane, size)
            i = start
            while i < stop:
                column, n = _piece(levels, size, i, stop)
                row, given, made = (
                    _row(words, lane // 2, i - start, n),
                    _part(x, i, n, levels),
                    _part(out, i, n, levels),
                )
                _mask_part(given, made, row, lane % 2, levels, column)
                i += n


@compiled
def mask_add(x, residual, out, size, key, levels, first, last):
    """Write ``x`` times the scale plus ``residual``; settings as in `mask`."""
    words = np.empty((4, BLOCK), np.uint32)
    for block in range(first, last):
        _fill_words(words, key, block)
        for lane in range(8):
            start, stop = _lane(8 * block + lane, size)
            i = start
            while i < stop:
                column, n = _piece(levels, size, i, stop)
                row, made = _row(words, lane // 2, i - start, n), _part(out, i, n, levels)
                _mask_add_part(
                    _part(x, i, n, levels), _part(residual, i, n, levels), made, row, lane % 2, levels, column
                )
                i += n


@compiled
def relu_mask(x, bias, out, size, key, levels, features, first, last):
    """Write max(``x`` + ``bias``, 0) times the scale; settings as in `mask`."""
    words = np.empty((4, BLOCK), np.uint32)
    for block in range(first, last):
        _fill_words(words, key, block)
        for lane in range(8):
            start, stop = _lane(8 * block + lane, size)
            i = start
            while i < stop:
                column, n = _piece(levels, size, i, stop)
                n = min(n, features - i % features)
                row, made = _row(words, lane // 2, i - start, n), _part(out, i, n, levels)
                _relu_mask_part(
                    _part(x, i, n, levels), _part(bias, i % features, n, levels), made, row, lane % 2, levels, column
                )
                i += n


@compiled
def mask_values(out, key, dropped, scale):
    """Write what `mask` multiplies by; one block at most."""
    words = np.empty((4, BLOCK), np.uint32)
    _fill_words(words, key, 0)
    for i in range(out.size):
        shift = np.uint32(16 * (i // BLOCK % 2))
        keep = np.int32(words[i // (2 * BLOCK), i % BLOCK] >> shift & np.uint32(0xFFFF)) >= dropped
        out[i] = scale if keep else 0


@compiled
def gaussian(x, out, size, key, levels, first, last):
    """Write ``x (offset + std e)``; settings as in `adaptive_dropout.noise.normal`."""
    words, normals = np.empty((4, BLOCK), np.uint32), np.empty((4, BLOCK), np.float32)
    uniforms = np.empty(BLOCK, np.float32)
    for block in range(first, last):
        _fill_words(words, key, block)
        _fill_normals(normals, words, uniforms, 0)
        _fill_normals(normals, words, uniforms, 2)
        for lane in range(4):
            start, stop = _lane(4 * block + lane, size)
            i = start
            while i < stop:
                column, n = _piece(levels, size, i, stop)
                row, given, made = _row(normals, lane, i - start, n), _part(x, i, n, levels), _part(out, i, n, levels)
                _gaussian_part(given, made, row, levels[0, column], levels[1, column])
                i += n


@compiled
def gate(x, out, size, key, levels, exponent, limit, first, last):
    """Write ``x scale k``; settings as in `adaptive_dropout.noise.gate`."""
    words, keep, base = np.empty((4, BLOCK), np.uint32), np.empty(BLOCK, levels.dtype), np.empty(BLOCK, levels.dtype)
    for block in range(first, last):
        _fill_words(words, key, block)
        for lane in range(8):
            start, stop = _lane(8 * block + lane, size)
            i = start
            while i < stop:
                column, n = _piece(levels, size, i, stop)
                _fill_gates(
                    keep, base, _row(words, lane // 2, i - start, n), lane % 2, levels[0, column], exponent, limit
                )
                _gate_part(_part(x, i, n, levels), _part(out, i, n, levels), keep, levels[1, column])
                i += n


@compiled
def gate_backward(x, gradient, out, sums, size, key, levels, exponent, limit, first, last):
    """Write ``gradient scale k``, and the sums of x gradient k and of it times 1 - k over each block into ``sums``."""
    words, keep, base = np.empty((4, BLOCK), np.uint32), np.empty(BLOCK, levels.dtype), np.empty(BLOCK, levels.dtype)
    parts = np.empty((2, BLOCK), levels.dtype)
    for block in range(first, last):
        _fill_words(words, key, block)
        parts[:] = 0
        for lane in range(8):
            start, stop = _lane(8 * block + lane, size)
            n = stop - start
            if n > 0:
                _fill_gates(keep, base, _row(words, lane // 2, 0, n), lane % 2, levels[0, 0], exponent, limit)
                given = _part(gradient, start, n, levels)
                _gate_part(given, _part(out, start, n, levels), keep, levels[1, 0])
                _add_products(_part(x, start, n, levels), given, keep, base, parts)
        sums[0, block], sums[1, block] = _sum(parts[0]), _sum(parts[1])


@intrinsic
def _pointer(context, address, like):
    """Return ``address`` as a pointer to numbers of the type of ``like``."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(like)(address, like), generate


@compiled
def _part(address, start, n, levels):
    """Return the ``n`` numbers from ``start`` on; no slice of an array, which would count its references."""
    size = np.int64(levels.itemsize)
    return carray(_pointer(np.int64(address + start * size), levels[0, 0]), (n,))


@compiled
def _row(rows, row, start, n):
    """Return the ``n`` numbers of a row of ``rows`` from ``start`` on."""
    return carray(_pointer(np.int64(rows.ctypes.data + (row * BLOCK + start) * rows.itemsize), rows[0, 0]), (n,))


@compiled
def _lane(number, size):
    return min(number * BLOCK, size), min((number + 1) * BLOCK, size)


@compiled
def _piece(levels, size, start, stop):
    """Return the column of the element ``start``, and how many from there to ``stop`` have the same."""
    inner = size // levels.shape[1]
    column = start // inner
    return column, min(stop, (column + 1) * inner) - start


@compiled
def _fill_words(words, key, block):
    # Held in 64 bits of which the low 32 count: a multiplication reads no others, and nothing has to be cut off before.
    low, high = np.uint64(key) & LOW, np.uint64(key) >> HIGH
    first = np.uint64(block) * np.uint64(BLOCK)
    for c in range(BLOCK):
        counter = first + np.uint64(c)
        c0, c1, c2, c3 = counter, counter >> HIGH, np.uint64(0), np.uint64(0)
        k0, k1 = low, high
        for _ in range(ROUNDS):
            a, b = (c0 & LOW) * M0, (c2 & LOW) * M1
            c0, c1, c2, c3 = b >> HIGH ^ c1 ^ k0, b, a >> HIGH ^ c3 ^ k1, a
            k0, k1 = k0 + W0, k1 + W1
        words[0, c], words[1, c], words[2, c], words[3, c] = np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)


@compiled
def _mask_part(x, out, words, high, levels, column):
    """Drop where the ``high`` or low half of a word is below the threshold, all of them where that is `LEVELS`."""
    dropped, zero = np.int64(levels[0, column]), x.dtype.type(0)
    scale = levels[1, column] if dropped < LEVELS else zero
    limit, left = np.uint32(dropped << 16), np.uint32(0 if high else 16)
    if levels.shape[0] == 2:
        if high:
            for c in range(x.size):
                out[c] = x[c] * (scale if words[c] >= limit else zero)
        else:
            for c in range(x.size):
                out[c] = x[c] * (scale if np.uint32(words[c] << left) >= limit else zero)
        return
    lost = levels[3, column]
    kept = levels[2, column] if dropped < LEVELS else lost
    for c in range(x.size):
        keep = np.uint32(words[c] << left) >= limit
        out[c] = x[c] * (scale if keep else zero) + (kept if keep else lost)


@compiled
def _mask_add_part(x, residual, out, words, high, levels, column):
    dropped, zero = np.int64(levels[0, column]), x.dtype.type(0)
    scale = levels[1, column] if dropped < LEVELS else zero
    limit, left = np.uint32(dropped << 16), np.uint32(0 if high else 16)
    for c in range(x.size):
        out[c] = x[c] * (scale if np.uint32(words[c] << left) >= limit else zero) + residual[c]


@compiled
def _relu_mask_part(x, bias, out, words, high, levels, column):
    dropped, zero = np.int64(levels[0, column]), x.dtype.type(0)
    scale = levels[1, column] if dropped < LEVELS else zero
    limit, left = np.uint32(dropped << 16), np.uint32(0 if high else 16)
    for c in range(x.size):
        value = x[c] + bias[c]
        value = zero if value < zero else value
        out[c] = value * (scale if np.uint32(words[c] << left) >= limit else zero)


@compiled
def _fill_normals(normals, words, u, row):
    """Write two rows of standard normals for two of words, with the operations of `normal.box_muller` in order."""
    for c in range(BLOCK):
        u[c] = (np.float32(words[row, c]) + HALF) * TICK
    bits = u.view(np.int32)
    for c in range(BLOCK):
        exponent = np.int32(bits[c] - SQRT_HALF_BITS) >> np.int32(23)
        normals[row + 1, c] = np.float32(exponent)
        bits[c] -= exponent << np.int32(23)
    for c in range(BLOCK):
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


@compiled
def _gaussian_part(x, out, normals, offset, std):
    for c in range(x.size):
        out[c] = x[c] * (offset + std * normals[c])


@compiled
def _fill_gates(keep, base, words, high, odds, exponent, limit):
    """Write k into ``keep``, with the operations of `gate.keep` in order; ``base`` is scratch."""
    most, one, half, tick = keep.dtype.type(limit), keep.dtype.type(1), keep.dtype.type(0.5), keep.dtype.type(2.0**-16)
    right, n = np.uint32(16 if high else 0), words.size
    for c in range(n):
        u = (keep.dtype.type(np.uint32(words[c] >> right & np.uint32(0xFFFF))) + half) * tick
        value = odds * (u / (one - u))
        base[c] = value if value < most else most
    if exponent == 10:  # the papers' temperature of 0.1, four times as fast as one multiplication at a time
        for c in range(n):
            second = base[c] * base[c]
            fourth = second * second
            keep[c] = second * (fourth * fourth)
    else:
        _raise(keep, base, exponent, n)
    for c in range(n):
        keep[c] = one / (one + keep[c])


@compiled
def _raise(power, base, exponent, size):
    """Write ``base`` to the ``exponent``; a multiple of 1/2 up to 32 by multiplications, which vectorise."""
    twice = int(2 * exponent)
    if twice != 2 * exponent or twice > 64:
        for c in range(size):
            power[c] = base[c] ** exponent
        return
    for c in range(size):
        power[c] = np.sqrt(base[c]) if twice % 2 else power.dtype.type(1)
    n = twice // 2
    while n:
        if n % 2:
            for c in range(size):
                power[c] *= base[c]
        for c in range(size):
            base[c] *= base[c]
        n //= 2


@compiled
def _gate_part(x, out, keep, scale):
    for c in range(x.size):
        out[c] = x[c] * (scale * keep[c])


@compiled
def _add_products(x, gradient, keep, product, parts):
    one = keep.dtype.type(1)
    of_k, of_slope = _row(parts, 0, 0, x.size), _row(parts, 1, 0, x.size)
    for c in range(x.size):  # three loops, each of few enough arrays to be vectorised
        product[c] = gradient[c] * x[c] * keep[c]
    for c in range(x.size):
        of_k[c] += product[c]
    for c in range(x.size):
        of_slope[c] += product[c] * (one - keep[c])


@compiled
def _sum(parts):
    """Return the sum of ``parts``, which it overwrites, in halves: one after the other would not vectorise."""
    half = parts.size // 2
    while half:
        for c in range(half):
            parts[c] += parts[c + half]
        half //= 2
    return parts[0]
