"""Kernels of Gaussian noise, with the arguments of those in `masks`."""

# mypy: ignore-errors

from __future__ import annotations

import triton.language as tl

from adaptive_dropout.noise.cuda.draws import box_muller
from adaptive_dropout.noise.cuda.laws import normal_settings
from adaptive_dropout.noise.cuda.words import CHUNK, LANES, column_of, kernel, positions_of, words_of

__all__ = ["gaussian", "gaussian_backward"]


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
