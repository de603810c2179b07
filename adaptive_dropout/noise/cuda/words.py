"""The start of each program of a kernel: its random words, and the positions of its elements."""

# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from adaptive_dropout.noise import philox

__all__ = ["BLOCK", "CHUNK", "LANES", "LEVELS", "column_of", "half_of", "positions_of", "words_of"]

BLOCK, CHUNK = tl.constexpr(philox.BLOCK), tl.constexpr(philox.CHUNK)
LANES, LEVELS = tl.constexpr(philox.LANES), tl.constexpr(philox.LEVELS)


@triton.jit
def words_of(key):
    """Return the four words of the counters of this program's chunk."""
    counter = tl.program_id(0).to(tl.int64) * CHUNK + tl.arange(0, CHUNK)
    low, high = (counter & 0xFFFFFFFF).to(tl.uint32), (counter >> 32).to(tl.uint32)
    zero = tl.zeros((CHUNK,), tl.uint32)
    return tl.philox(tl.load(key), low, high, zero, zero)


@triton.jit
def positions_of(lane: tl.constexpr, size):
    """Return the positions of one lane of this program's chunk, and which of them are inside of the array."""
    c = tl.program_id(0).to(tl.int64) * CHUNK + tl.arange(0, CHUNK)
    i = (c // BLOCK * LANES + lane) * BLOCK + c % BLOCK
    return i, i < size


@triton.jit
def column_of(i, size, columns, uniform: tl.constexpr):
    """Return the column of settings for the elements ``i``; the last one for those past the end."""
    return 0 if uniform else tl.minimum(i // (size // columns), columns - 1)


@triton.jit
def half_of(words, lane: tl.constexpr):
    """Return the 16-bit numbers of one lane of ``words``."""
    return ((words[lane // 2] >> (16 * (lane % 2))) & 0xFFFF).to(tl.int32)
