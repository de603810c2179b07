"""Kernels of the Bernoulli mask, alone, shared by neighbours, and with what stands beside it in a network.

Their arguments, after the arrays: two parts of the key, whose sum it is, one in memory, where a captured graph draws it
anew, and one a number of the host; between them p or the table of settings; how many elements and columns there are;
and what a kernel is compiled for: the law of the settings, whether they are the same for all, whether the number of
elements is a multiple of 16, and last the dtype to compute in.
"""

# mypy: ignore-errors

from __future__ import annotations

import triton.language as tl

from adaptive_dropout.noise.cuda.laws import mask_settings
from adaptive_dropout.noise.cuda.words import CHUNK, LANES, column_of, half_at, half_of, kernel, positions_of, words_of

__all__ = ["mask", "mask_add", "mask_shared", "relu_mask", "relu_mask_backward"]


@kernel
def mask(
    x,
    out,
    drawn,
    held,
    key: tl.int64,
    size: tl.int64,
    columns: tl.int64,
    law: tl.constexpr,
    shifted: tl.constexpr,
    uniform: tl.constexpr,
    whole: tl.constexpr,
    work: tl.constexpr,
):
    """Write x times the scale, plus the shift if ``shifted``."""
    size = size // 16 * 16 if whole else size
    words = words_of(key, drawn)
    if uniform:
        dropped, scale, kept, lost = mask_settings(held, 0, 1, law, shifted, work)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        if not uniform:
            dropped, scale, kept, lost = mask_settings(held, column_of(i, size, columns), columns, law, shifted, work)
        keep = half_of(words, lane) >= dropped
        y = tl.load(x + i, inside, other=0).to(work) * tl.where(keep, scale, 0 * scale)
        if shifted:
            y += tl.where(keep, kept, lost)
        tl.store(out + i, y, inside)


@kernel
def mask_shared(
    x,
    out,
    drawn,
    held,
    key: tl.int64,
    size: tl.int64,
    shared: tl.int64,
    law: tl.constexpr,
    shifted: tl.constexpr,
    group: tl.constexpr,
    narrow: tl.constexpr,
    work: tl.constexpr,
):
    """Write the same where ``shared`` neighbours have one element of the mask; ``group`` of them are read at a time."""
    size = size // group * group
    dropped, scale, kept, lost = mask_settings(held, 0, 1, law, shifted, work)
    start = (tl.program_id(0).to(tl.int64) * CHUNK + tl.arange(0, CHUNK)) * group
    # 64 bits take several times as long to divide, and only arrays of 2^31 elements need them.
    position = (start.to(tl.int32) // shared.to(tl.int32)).to(tl.int64) if narrow else start // shared
    keep = half_at(key, drawn, position) >= dropped
    i = start[:, None] + tl.arange(0, group)[None, :]
    inside = i < size
    y = tl.load(x + i, inside, other=0).to(work) * tl.where(keep, scale, 0 * scale)[:, None]
    if shifted:
        y += tl.where(keep, kept, lost)[:, None]
    tl.store(out + i, y, inside)


@kernel
def mask_add(
    x,
    residual,
    out,
    drawn,
    held,
    key: tl.int64,
    size: tl.int64,
    columns: tl.int64,
    law: tl.constexpr,
    uniform: tl.constexpr,
    whole: tl.constexpr,
    work: tl.constexpr,
):
    """Write x times the scale plus ``residual``."""
    size = size // 16 * 16 if whole else size
    words = words_of(key, drawn)
    if uniform:
        dropped, scale, _, _ = mask_settings(held, 0, 1, law, False, work)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        if not uniform:
            dropped, scale, _, _ = mask_settings(held, column_of(i, size, columns), columns, law, False, work)
        factor = tl.where(half_of(words, lane) >= dropped, scale, 0 * scale)
        y = tl.load(x + i, inside, other=0).to(work) * factor + tl.load(residual + i, inside, other=0).to(work)
        tl.store(out + i, y, inside)


@kernel
def relu_mask(
    x,
    bias,
    out,
    drawn,
    held,
    key: tl.int64,
    size: tl.int64,
    columns: tl.int64,
    features: tl.int64,
    law: tl.constexpr,
    uniform: tl.constexpr,
    whole: tl.constexpr,
    work: tl.constexpr,
):
    """Write max(x + ``bias``, 0) times the scale."""
    size = size // 16 * 16 if whole else size
    words = words_of(key, drawn)
    if uniform:
        dropped, scale, _, _ = mask_settings(held, 0, 1, law, False, work)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        if not uniform:
            dropped, scale, _, _ = mask_settings(held, column_of(i, size, columns), columns, law, False, work)
        factor = tl.where(half_of(words, lane) >= dropped, scale, 0 * scale)
        value = tl.load(x + i, inside, other=0).to(work) + tl.load(bias + i % features).to(work)
        tl.store(out + i, tl.where(value < 0, 0, value) * factor, inside)


@kernel
def relu_mask_backward(
    y,
    gradient,
    out,
    held,
    size: tl.int64,
    columns: tl.int64,
    law: tl.constexpr,
    uniform: tl.constexpr,
    whole: tl.constexpr,
    work: tl.constexpr,
):
    """Write the gradient times the scale where y is above 0."""
    size = size // 16 * 16 if whole else size
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        column = 0 if uniform else column_of(i, size, columns)
        _, scale, _, _ = mask_settings(held, column, columns, law, False, work)
        above = tl.load(y + i, inside, other=0).to(work) > 0
        arriving = tl.load(gradient + i, inside, other=0).to(work)
        tl.store(out + i, arriving * tl.where(above, scale, 0 * scale), inside)
