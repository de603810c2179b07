"""Kernels of the Bernoulli mask, alone and with its neighbours."""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from adaptive_dropout.noise.cpu.words import BLOCKS, columns_of, compiled, half, halves, inlined, part, rows_from
from adaptive_dropout.noise.philox import BLOCK, LANES, LEVELS

__all__ = ["mask", "mask_add", "mask_values", "relu_mask"]

SPAN = LANES * BLOCK


@compiled
def mask(x, out, size, key, settings, first, last):
    """Write ``x`` times the scale, plus the shift; settings as in `adaptive_dropout.noise.mask`."""
    held = np.empty((1, SPAN), settings.dtype)
    copy = rows_from(held, 0)
    for block in range(first * BLOCKS, last * BLOCKS):
        start = block * SPAN
        column, inner, shared = columns_of(settings, size, start, SPAN)
        n = max(min(SPAN, size - start), 0)
        given, made = part(x, start, n, settings), part(out, start, n, settings)
        if shared:
            if x == out:  # in place: a loop over two names of one memory would not vectorise
                for c in range(SPAN):
                    copy[c] = given[c]
                given = copy
            limit, scale, kept, lost = _unpack(settings, column)
            _mask_block(given, made, np.uint64(key), block, limit, scale, kept, lost)
        else:
            for i in range(n):
                limit, scale, kept, lost = _unpack(settings, (start + i) // inner)
                keep = half(np.uint64(key), block, i) >= limit
                made[i] = given[i] * (scale if keep else settings.dtype.type(0)) + (kept if keep else lost)


@compiled
def mask_add(x, residual, out, size, key, settings, first, last):
    """Write ``x`` times the scale plus ``residual``; settings as in `mask`."""
    for block in range(first * BLOCKS, last * BLOCKS):
        start = block * SPAN
        column, inner, shared = columns_of(settings, size, start, SPAN)
        n = max(min(SPAN, size - start), 0)
        given, more, made = (
            part(x, start, n, settings),
            part(residual, start, n, settings),
            part(out, start, n, settings),
        )
        if shared:
            limit, scale, _, _ = _unpack(settings, column)
            _mask_add_block(given, more, made, np.uint64(key), block, limit, scale)
        else:
            for i in range(n):
                limit, scale, _, _ = _unpack(settings, (start + i) // inner)
                factor = scale if half(np.uint64(key), block, i) >= limit else settings.dtype.type(0)
                made[i] = given[i] * factor + more[i]


@compiled
def relu_mask(x, bias, out, size, key, settings, features, first, last):
    """Write max(``x`` + ``bias``, 0) times the scale; settings as in `mask`."""
    zero, added, held = settings.dtype.type(0), part(bias, 0, features, settings), np.empty((1, SPAN), settings.dtype)
    spread = rows_from(held, 0)
    for block in range(first * BLOCKS, last * BLOCKS):
        start = block * SPAN
        column, inner, shared = columns_of(settings, size, start, SPAN)
        n = max(min(SPAN, size - start), 0)
        given, made = part(x, start, n, settings), part(out, start, n, settings)
        if shared and features % BLOCK == 0:
            for lane in range(LANES):
                own, to = part(bias, (start + lane * BLOCK) % features, BLOCK, settings), rows_from(held, lane * BLOCK)
                for c in range(BLOCK):
                    to[c] = own[c]
            limit, scale, _, _ = _unpack(settings, column)
            _relu_mask_block(given, spread, made, np.uint64(key), block, limit, scale)
        else:
            for i in range(n):
                limit, scale, _, _ = _unpack(settings, (start + i) // inner)
                factor = scale if half(np.uint64(key), block, i) >= limit else zero
                made[i] = _rectified(given[i] + added[(start + i) % features], zero) * factor


@compiled
def mask_values(out, key, dropped, scale):
    """Write the factors by which `mask` multiplies."""
    limit = np.uint64(dropped) << np.uint64(16)
    for block in range((out.size + SPAN - 1) // SPAN):
        for c in range(min(BLOCK, out.size - block * SPAN)):
            lanes = halves(np.uint64(key), np.uint64(block * BLOCK + c))
            for lane in range(LANES):
                i = block * SPAN + lane * BLOCK + c
                if i < out.size:
                    out[i] = scale if np.uint64(lanes[lane]) >= limit else 0


@compiled
def _unpack(settings, column):
    """Return the threshold of a high half, the scale, and the two shifts; at p = 1 all are dropped."""
    zero, dropped = settings.dtype.type(0), np.int64(settings[0, column])
    scale = settings[1, column] if dropped < LEVELS else zero
    kept = lost = -zero  # so that adding it keeps a product of -0.0 as it is
    if settings.shape[0] > 2:
        kept, lost = settings[2, column], settings[3, column]
        kept = kept if dropped < LEVELS else lost
    return np.uint32(dropped << 16), scale, kept, lost


@inlined
def _rectified(x, zero):
    return zero if x < zero else x


@compiled
def _mask_block(x, out, key, block, limit, scale, kept, lost):
    first, zero = np.uint64(block * BLOCK), x.dtype.type(0)
    for c in range(BLOCK):
        lanes = halves(key, first + np.uint64(c))
        for lane in range(LANES):
            i, keep = lane * BLOCK + c, lanes[lane] >= limit
            out[i] = x[i] * (scale if keep else zero) + (kept if keep else lost)


@compiled
def _mask_add_block(x, residual, out, key, block, limit, scale):
    first, zero = np.uint64(block * BLOCK), x.dtype.type(0)
    for c in range(BLOCK):
        lanes = halves(key, first + np.uint64(c))
        for lane in range(LANES):
            i = lane * BLOCK + c
            out[i] = x[i] * (scale if lanes[lane] >= limit else zero) + residual[i]


@compiled
def _relu_mask_block(x, bias, out, key, block, limit, scale):
    first, zero = np.uint64(block * BLOCK), x.dtype.type(0)
    for c in range(BLOCK):
        lanes = halves(key, first + np.uint64(c))
        for lane in range(LANES):
            i = lane * BLOCK + c
            out[i] = _rectified(x[i] + bias[i], zero) * (scale if lanes[lane] >= limit else zero)
