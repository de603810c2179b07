"""The kernels: each program reads, multiplies and writes one chunk."""

# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from adaptive_dropout.noise.cuda.draws import box_muller, gate_of, keep_or_drop
from adaptive_dropout.noise.cuda.words import CHUNK, LANES, column_of, half_of, positions_of, words_of

__all__ = ["gate", "gate_backward", "gaussian", "mask", "mask_add", "relu_mask"]


@triton.jit
def mask(x, out, key, settings, size, columns, shifted: tl.constexpr, uniform: tl.constexpr, work: tl.constexpr):
    """Write x times the scale, plus the shift if ``shifted``."""
    words = words_of(key)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        column = column_of(i, size, columns, uniform)
        keep, factor = keep_or_drop(half_of(words, lane), settings + column, columns)
        y = tl.load(x + i, inside, other=0).to(work) * factor
        if shifted:
            y += tl.where(keep, tl.load(settings + 2 * columns + column), tl.load(settings + 3 * columns + column))
        tl.store(out + i, y, inside)


@triton.jit
def mask_add(x, residual, out, key, settings, size, columns, uniform: tl.constexpr, work: tl.constexpr):
    """Write x times the scale plus ``residual``."""
    words = words_of(key)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        _, factor = keep_or_drop(half_of(words, lane), settings + column_of(i, size, columns, uniform), columns)
        y = tl.load(x + i, inside, other=0).to(work) * factor + tl.load(residual + i, inside, other=0).to(work)
        tl.store(out + i, y, inside)


@triton.jit
def relu_mask(x, bias, out, key, settings, size, columns, features, uniform: tl.constexpr, work: tl.constexpr):
    """Write max(x + ``bias``, 0) times the scale."""
    words = words_of(key)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        _, factor = keep_or_drop(half_of(words, lane), settings + column_of(i, size, columns, uniform), columns)
        value = tl.load(x + i, inside, other=0).to(work) + tl.load(bias + i % features).to(work)
        tl.store(out + i, tl.where(value < 0, 0, value) * factor, inside)


@triton.jit
def gaussian(x, out, key, settings, size, columns, uniform: tl.constexpr, work: tl.constexpr):
    """Write x (offset + std e)."""
    words = words_of(key)
    normals = box_muller(words[0]) + box_muller(words[1]) + box_muller(words[2]) + box_muller(words[3])
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        column = column_of(i, size, columns, uniform)
        factor = tl.load(settings + column) + tl.load(settings + columns + column) * normals[lane].to(work)
        tl.store(out + i, tl.load(x + i, inside, other=0).to(work) * factor, inside)


@triton.jit
def gate(
    x,
    out,
    key,
    settings,
    size,
    columns,
    exponent: tl.constexpr,
    limit: tl.constexpr,
    uniform: tl.constexpr,
    work: tl.constexpr,
):
    """Write x scale k."""
    words = words_of(key)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        column = column_of(i, size, columns, uniform)
        keep = gate_of(half_of(words, lane), tl.load(settings + column), exponent, limit, work)
        factor = tl.load(settings + columns + column) * keep
        tl.store(out + i, tl.load(x + i, inside, other=0).to(work) * factor, inside)


@triton.jit
def gate_backward(
    x, gradient, out, sums, key, settings, size, exponent: tl.constexpr, limit: tl.constexpr, work: tl.constexpr
):
    """Write gradient scale k, and the two sums of this chunk."""
    words, program = words_of(key), tl.program_id(0).to(tl.int64)
    of_k, of_slope = tl.zeros((CHUNK,), work), tl.zeros((CHUNK,), work)
    for lane in tl.static_range(LANES):
        i, inside = positions_of(lane, size)
        keep = gate_of(half_of(words, lane), tl.load(settings), exponent, limit, work)
        arriving = tl.load(gradient + i, inside, other=0).to(work)
        tl.store(out + i, arriving * (tl.load(settings + 1) * keep), inside)
        product = arriving * tl.load(x + i, inside, other=0).to(work) * keep
        of_k += product
        of_slope += product * (1 - keep)
    tl.store(sums + program, tl.sum(of_k, 0))
    tl.store(sums + tl.num_programs(0) + program, tl.sum(of_slope, 0))
