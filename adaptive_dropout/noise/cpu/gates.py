"""Kernels of the concrete gate. The published temperature of 0.1 has loops of its own, which stay in registers."""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from adaptive_dropout.noise.cpu.words import BLOCKS, compiled, fill_words, halves, inlined, part, rows_from
from adaptive_dropout.noise.philox import BLOCK, CHUNK, LANES

__all__ = ["gate", "gate_backward"]

SPAN = LANES * BLOCK
SHARP = 10  # the exponent at a temperature of 0.1
RIGHT = np.uint32(16)


@compiled
def gate(x, out, size, key, settings, exponent, limit, first, last):
    """Write ``x scale k``; settings as in `adaptive_dropout.noise.gate`."""
    words, keep = np.empty((4, CHUNK), np.uint32), np.empty((LANES, CHUNK), settings.dtype)
    odds, base, most = np.empty(CHUNK, settings.dtype), np.empty(CHUNK, settings.dtype), settings.dtype.type(limit)
    inner = max(size // settings.shape[1], 1)
    for chunk in range(first, last):
        if exponent == SHARP and settings.shape[1] == 1 and (chunk + 1) * LANES * CHUNK <= size:
            for block in range(chunk * BLOCKS, (chunk + 1) * BLOCKS):
                given, made = part(x, block * SPAN, SPAN, settings), part(out, block * SPAN, SPAN, settings)
                _sharp_block(given, made, np.uint64(key), block, settings[0, 0], settings[1, 0], most)
            continue
        fill_words(words, key, chunk)
        for lane in range(LANES):
            _fill_odds(odds, settings, chunk, lane, inner)
            _fill_gates(keep, base, words, lane, odds, exponent, most)
        for b in range(BLOCKS):
            start = (chunk * BLOCKS + b) * SPAN
            n = max(min(SPAN, size - start), 0)
            given, made = part(x, start, n, settings), part(out, start, n, settings)
            if n == SPAN and settings.shape[1] == 1:
                _block(given, made, rows_from(keep, b * BLOCK), settings[1, 0])
            else:
                for i in range(n):
                    made[i] = given[i] * (settings[1, (start + i) // inner] * keep[i // BLOCK, b * BLOCK + i % BLOCK])


@compiled
def gate_backward(x, gradient, out, sums, size, key, settings, exponent, limit, first, last):
    """Write ``gradient scale k``, and the sums of x gradient k and of it times 1 - k over each chunk into ``sums``."""
    words, keep = np.empty((4, CHUNK), np.uint32), np.empty((LANES, CHUNK), settings.dtype)
    odds, base, most = np.full(CHUNK, settings[0, 0]), np.empty(CHUNK, settings.dtype), settings.dtype.type(limit)
    parts, one = np.empty((2, BLOCK), settings.dtype), settings.dtype.type(1)
    of_k, of_slope = rows_from(parts, 0), rows_from(parts, BLOCK)
    for chunk in range(first, last):
        parts[:] = 0
        sharp = exponent == SHARP and (chunk + 1) * LANES * CHUNK <= size
        if not sharp:
            fill_words(words, key, chunk)
            for lane in range(LANES):
                _fill_gates(keep, base, words, lane, odds, exponent, most)
        for block in range(chunk * BLOCKS, (chunk + 1) * BLOCKS):
            start = block * SPAN
            n = max(min(SPAN, size - start), 0)
            given, arriving = part(x, start, n, settings), part(gradient, start, n, settings)
            made = part(out, start, n, settings)
            if sharp:
                _sharp_backward_block(
                    given, arriving, made, of_k, np.uint64(key), block, settings[0, 0], settings[1, 0], most
                )
            else:
                for i in range(n):
                    k = keep[i // BLOCK, (block % BLOCKS) * BLOCK + i % BLOCK]
                    made[i] = arriving[i] * (settings[1, 0] * k)
                    product = arriving[i] * given[i] * k
                    of_k[i % BLOCK] += product
                    of_slope[i % BLOCK] += product * (one - k)
        sums[0, chunk], sums[1, chunk] = _sum(of_k), _sum(of_slope)


@inlined
def _sharp(word, odds, most, tick, middle, one, cast):
    """Return k of a high half, with the operations of `gate.keep` in order."""
    u = (cast(np.uint32(word >> RIGHT)) + middle) * tick
    value = odds * (u / (one - u))
    base = value if value < most else most
    second = base * base
    fourth = second * second
    return one / (one + second * (fourth * fourth))


@compiled
def _sharp_block(x, out, key, block, odds, scale, most):
    first, cast = np.uint64(block * BLOCK), x.dtype.type
    tick, middle, one = cast(2.0**-16), cast(0.5), cast(1)
    for c in range(BLOCK):
        lanes = halves(key, first + np.uint64(c))
        for lane in range(LANES):
            i = lane * BLOCK + c
            out[i] = x[i] * (scale * _sharp(lanes[lane], odds, most, tick, middle, one, cast))


@compiled
def _sharp_backward_block(x, gradient, out, parts, key, block, odds, scale, most):
    first, cast = np.uint64(block * BLOCK), x.dtype.type
    tick, middle, one, zero = cast(2.0**-16), cast(0.5), cast(1), cast(0)
    for c in range(BLOCK):
        lanes = halves(key, first + np.uint64(c))
        of_k, of_slope = zero, zero
        for lane in range(LANES):
            i = lane * BLOCK + c
            k = _sharp(lanes[lane], odds, most, tick, middle, one, cast)
            out[i] = gradient[i] * (scale * k)
            product = gradient[i] * x[i] * k
            of_k += product
            of_slope += product * (one - k)
        parts[c] += of_k
        parts[c + BLOCK] += of_slope


@compiled
def _block(x, out, k, scale):
    for c in range(BLOCK):
        for lane in range(LANES):
            out[lane * BLOCK + c] = x[lane * BLOCK + c] * (scale * k[lane * CHUNK + c])


@compiled
def _fill_odds(odds, settings, chunk, lane, inner):
    """Write the odds of the elements of one lane of a chunk; the last one's for those past the end."""
    if settings.shape[1] == 1:
        odds[:] = settings[0, 0]
        return
    for c in range(CHUNK):
        i = ((chunk * BLOCKS + c // BLOCK) * 8 + lane) * BLOCK + c % BLOCK
        odds[c] = settings[0, min(i // inner, settings.shape[1] - 1)]


@compiled
def _fill_gates(keep, base, words, lane, odds, exponent, most):
    """Write k into a row of ``keep``, with the operations of `gate.keep` in order; ``base`` is scratch."""
    gates, word = rows_from(keep, lane * CHUNK), rows_from(words, lane // 2 * CHUNK)
    right, one = np.uint32(16 if lane % 2 else 0), base.dtype.type(1)
    middle, tick = base.dtype.type(0.5), base.dtype.type(2.0**-16)
    for c in range(CHUNK):
        u = (base.dtype.type(np.uint32(word[c] >> right & np.uint32(0xFFFF))) + middle) * tick
        value = odds[c] * (u / (one - u))
        base[c] = value if value < most else most
    _raise(gates, base, exponent)
    for c in range(CHUNK):
        gates[c] = one / (one + gates[c])


@compiled
def _raise(power, base, exponent):
    """Write ``base`` to the ``exponent``; multiples of 1/2 up to 32 by multiplications, which vectorise."""
    twice = int(2 * exponent)
    if twice != 2 * exponent or twice > 64:
        for c in range(CHUNK):
            power[c] = base[c] ** exponent
        return
    for c in range(CHUNK):
        power[c] = np.sqrt(base[c]) if twice % 2 else power.dtype.type(1)
    n = twice // 2
    while n:
        if n % 2:
            for c in range(CHUNK):
                power[c] *= base[c]
        for c in range(CHUNK):
            base[c] *= base[c]
        n //= 2


@compiled
def _sum(parts):
    """Return the sum of the first ``BLOCK`` of ``parts``, which it overwrites, pairwise: in order it would not
    vectorise.
    """
    half = BLOCK // 2
    while half:
        for c in range(half):
            parts[c] += parts[c + half]
        half //= 2
    return parts[0]
