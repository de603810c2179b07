"""Kernels of the Bernoulli mask, alone and with its neighbours."""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from adaptive_dropout.noise.cpu.words import BLOCKS, columns_of, compiled, half, halves, inlined, part, rows_from
from adaptive_dropout.noise.philox import BLOCK, LANES, LEVELS

__all__ = ["mask", "mask_add", "mask_values", "relu_mask"]

SPAN = LANES * BLOCK


@compiled
def mask(x, out, size, key, levels, first, last):
    """Write ``x`` times the scale, plus the shift; settings as in `adaptive_dropout.noise.mask`."""
    held = np.empty((1, SPAN), levels.dtype)
    copy = rows_from(held, 0)
    for block in range(first * BLOCKS, last * BLOCKS):
        start = block * SPAN
        column, inner, shared = columns_of(levels, size, start, SPAN)
        n = max(min(SPAN, size - start), 0)
        given, made = part(x, start, n, levels), part(out, start, n, levels)
        if shared:
            if x == out:  # in place: two names of one memory would not vectorise
                for c in range(SPAN):
                    copy[c] = given[c]
                given = copy
            limit, scale, kept, lost = _settings(levels, column)
            _mask_block(given, made, np.uint64(key), block, limit, scale, kept, lost)
        else:
            for i in range(n):
                limit, scale, kept, lost = _settings(levels, (start + i) // inner)
                keep = half(np.uint64(key), block, i) >= limit
                made[i] = given[i] * (scale if keep else levels.dtype.type(0)) + (kept if keep else lost)


@compiled
def mask_add(x, residual, out, size, key, levels, first, last):
    """Write ``x`` times the scale plus ``residual``; settings as in `mask`."""
    for block in range(first * BLOCKS, last * BLOCKS):
        start = block * SPAN
        column, inner, shared = columns_of(levels, size, start, SPAN)
        n = max(min(SPAN, size - start), 0)
        given, more, made = part(x, start, n, levels), part(residual, start, n, levels), part(out, start, n, levels)
        if shared:
            limit, scale, _, _ = _settings(levels, column)
            _mask_add_block(given, more, made, np.uint64(key), block, limit, scale)
        else:
            for i in range(n):
                limit, scale, _, _ = _settings(levels, (start + i) // inner)
                factor = scale if half(np.uint64(key), block, i) >= limit else levels.dtype.type(0)
                made[i] = given[i] * factor + more[i]


@compiled
def relu_mask(x, bias, out, size, key, levels, features, first, last):
    """Write max(``x`` + ``bias``, 0) times the scale; settings as in `mask`."""
    zero, added, held = levels.dtype.type(0), part(bias, 0, features, levels), np.empty((1, SPAN), levels.dtype)
    spread = rows_from(held, 0)
    for block in range(first * BLOCKS, last * BLOCKS):
        start = block * SPAN
        column, inner, shared = columns_of(levels, size, start, SPAN)
        n = max(min(SPAN, size - start), 0)
        given, made = part(x, start, n, levels), part(out, start, n, levels)
        if shared and features % BLOCK == 0:
            for lane in range(LANES):
                own, to = part(bias, (start + lane * BLOCK) % features, BLOCK, levels), rows_from(held, lane * BLOCK)
                for c in range(BLOCK):
                    to[c] = own[c]
            limit, scale, _, _ = _settings(levels, column)
            _relu_mask_block(given, spread, made, np.uint64(key), block, limit, scale)
        else:
            for i in range(n):
                limit, scale, _, _ = _settings(levels, (start + i) // inner)
                factor = scale if half(np.uint64(key), block, i) >= limit else zero
                made[i] = _rectified(given[i] + added[(start + i) % features], zero) * factor


@compiled
def mask_values(out, key, dropped, scale):
    """Write what `mask` multiplies by."""
    limit = np.uint64(dropped) << np.uint64(16)
    for block in range((out.size + SPAN - 1) // SPAN):
        for c in range(min(BLOCK, out.size - block * SPAN)):
            lanes = halves(np.uint64(key), np.uint64(block * BLOCK + c))
            for lane in range(LANES):
                i = block * SPAN + lane * BLOCK + c
                if i < out.size:
                    out[i] = scale if np.uint64(lanes[lane]) >= limit else 0


@compiled
def _settings(levels, column):
    """Return the threshold of a high half, the scale, and the shifts; all are dropped where p is 1."""
    zero, dropped = levels.dtype.type(0), np.int64(levels[0, column])
    scale = levels[1, column] if dropped < LEVELS else zero
    kept = lost = -zero  # which leaves a product of -0.0 as it is
    if levels.shape[0] > 2:
        kept, lost = levels[2, column], levels[3, column]
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
