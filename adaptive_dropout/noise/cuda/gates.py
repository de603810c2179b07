"""Kernels of the concrete gate, with the arguments of those in `masks`."""

# mypy: ignore-errors

from __future__ import annotations

import triton.language as tl

from adaptive_dropout.noise.cuda.draws import gate_of
from adaptive_dropout.noise.cuda.laws import gate_settings
from adaptive_dropout.noise.cuda.words import CHUNK, LANES, column_of, half_of, kernel, positions_of, words_of

__all__ = ["gate", "gate_backward"]


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
