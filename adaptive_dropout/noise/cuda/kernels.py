"""The kernels: each program reads, multiplies and writes one chunk.

Their arguments, after the arrays: two parts of the key, whose sum it is, one in memory, where a captured graph draws it
anew, and one a number of the host; between them p or the table of settings; how many elements and columns there are;
and what a kernel is compiled for: the law of the settings, whether they are the same for all, whether the number of
elements is a multiple of 16, and last the dtype to compute in.
"""

# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from adaptive_dropout.noise.cuda.draws import box_muller, gate_of
from adaptive_dropout.noise.cuda.laws import divided, gate_settings, keep_mean, mask_settings, normal_settings, rooted
from adaptive_dropout.noise.cuda.words import CHUNK, LANES, column_of, half_at, half_of, positions_of, words_of

__all__ = [
    "concrete_slope",
    "gate",
    "gate_backward",
    "gaussian",
    "gaussian_backward",
    "gaussian_slope",
    "mask",
    "mask_add",
    "mask_shared",
    "relu_mask",
    "relu_mask_backward",
]

NUMBERS = ["key", "size", "columns", "features", "shared"]
POINTERS = ["drawn", "held"]  # to single numbers, which need not be aligned

kernel = triton.jit(do_not_specialize=NUMBERS, do_not_specialize_on_alignment=POINTERS)


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


@kernel
def gaussian(
    x,
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
    """Write x (offset + std e)."""
    size = size // 16 * 16 if whole else size
    words = words_of(key, drawn)
    normals = box_muller(words[0]) + box_muller(words[1]) + box_muller(words[2]) + box_muller(words[3])
    if uniform:
        offset, std = normal_settings(held, 0, 1, law, work)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        if not uniform:
            offset, std = normal_settings(held, column_of(i, size, columns), columns, law, work)
        factor = offset + std * normals[lane].to(work)
        tl.store(out + i, tl.load(x + i, inside, other=0).to(work) * factor, inside)


@kernel
def gaussian_backward(
    x,
    gradient,
    out,
    sums,
    drawn,
    held,
    key: tl.int64,
    size: tl.int64,
    law: tl.constexpr,
    whole: tl.constexpr,
    work: tl.constexpr,
):
    """Write gradient (offset + std e), and the sum of x gradient e over this chunk."""
    size = size // 16 * 16 if whole else size
    words, program = words_of(key, drawn), tl.program_id(0).to(tl.int64)
    normals = box_muller(words[0]) + box_muller(words[1]) + box_muller(words[2]) + box_muller(words[3])
    offset, std = normal_settings(held, 0, 1, law, work)
    of_e = tl.zeros((CHUNK,), work)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        e = normals[lane].to(work)
        arriving = tl.load(gradient + i, inside, other=0).to(work)
        tl.store(out + i, arriving * (offset + std * e), inside)
        of_e += arriving * (tl.load(x + i, inside, other=0).to(work) * e)
    tl.store(sums + program, tl.sum(of_e, 0))


@kernel
def gate(
    x,
    out,
    drawn,
    held,
    key: tl.int64,
    size: tl.int64,
    columns: tl.int64,
    law: tl.constexpr,
    uniform: tl.constexpr,
    whole: tl.constexpr,
    exponent: tl.constexpr,
    limit: tl.constexpr,
    work: tl.constexpr,
):
    """Write x scale k."""
    size = size // 16 * 16 if whole else size
    words = words_of(key, drawn)
    if uniform:
        odds, scale = gate_settings(held, 0, 1, law, 1 / exponent, work)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        if not uniform:
            odds, scale = gate_settings(held, column_of(i, size, columns), columns, law, 1 / exponent, work)
        factor = scale * gate_of(half_of(words, lane), odds, exponent, limit, work)
        tl.store(out + i, tl.load(x + i, inside, other=0).to(work) * factor, inside)


@kernel
def gate_backward(
    x,
    gradient,
    out,
    sums,
    drawn,
    held,
    key: tl.int64,
    size: tl.int64,
    law: tl.constexpr,
    whole: tl.constexpr,
    exponent: tl.constexpr,
    limit: tl.constexpr,
    work: tl.constexpr,
):
    """Write gradient scale k, and the sums of x gradient k and of it times 1 - k over this chunk."""
    size = size // 16 * 16 if whole else size
    words, program = words_of(key, drawn), tl.program_id(0).to(tl.int64)
    odds, scale = gate_settings(held, 0, 1, law, 1 / exponent, work)
    of_k, of_slope = tl.zeros((CHUNK,), work), tl.zeros((CHUNK,), work)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        k = gate_of(half_of(words, lane), odds, exponent, limit, work)
        arriving = tl.load(gradient + i, inside, other=0).to(work)
        tl.store(out + i, arriving * (scale * k), inside)
        product = arriving * tl.load(x + i, inside, other=0).to(work) * k
        of_k += product
        of_slope += product * (1 - k)
    tl.store(sums + program, tl.sum(of_k, 0))
    tl.store(sums + tl.num_programs(0) + program, tl.sum(of_slope, 0))


@kernel
def gaussian_slope(sums, out, held, size: tl.int64, work: tl.constexpr):
    """Write the gradient of p from the sums of `gaussian_backward`, of ``size`` chunks."""
    p = tl.load(held).to(work)
    q = tl.maximum(1 - p, 1e-16)
    std = rooted(divided(p, q))
    tl.store(out, _sum(sums, size).to(work) * tl.where(p < 1, 0.5 / (std * q * q), 0 * p))


@kernel
def concrete_slope(sums, out, held, size: tl.int64, temperature: tl.constexpr, work: tl.constexpr):
    """Write the gradient of p from the sums of `gate_backward`, of ``size`` chunks.

    With c = 1 / (p (1 - p)): d ln odds / dp = c, so dk / dp = -c k (1 - k) / T and dE[k] / dp = -c E[k (1 - k)].
    """
    p = tl.load(held).to(work)
    c = 1 / tl.maximum(p * (1 - p), 1e-30)
    odds, scale = gate_settings(held, 0, 1, -1, temperature, work)
    _, slope = keep_mean(odds, temperature, work)
    of_k, of_slope = _sum(sums, size).to(work), _sum(sums + size, size).to(work)
    tl.store(out, c * (of_k * scale * scale * slope - of_slope * scale / temperature))


@triton.jit
def _sum(values, size):
    """Return the sum of ``size`` numbers, in float64."""
    total = tl.zeros((1024,), tl.float64)
    for start in range(0, size, 1024):
        i = start + tl.arange(0, 1024)
        total += tl.load(values + i, i < size, other=0).to(tl.float64)
    return tl.sum(total, 0)
