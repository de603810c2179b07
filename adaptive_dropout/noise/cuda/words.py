"""What all kernels begin with: how they are compiled, their random words, and the positions of their elements."""

# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from adaptive_dropout.noise import philox

__all__ = ["BLOCK", "CHUNK", "LANES", "LEVELS", "column_of", "half_at", "half_of", "kernel", "positions_of", "words_of"]

BLOCK, CHUNK = tl.constexpr(philox.BLOCK), tl.constexpr(philox.CHUNK)
LANES, LEVELS = tl.constexpr(philox.LANES), tl.constexpr(philox.LEVELS)

NUMBERS = ["key", "size", "columns", "features", "shared"]
POINTERS = ["drawn", "held"]  # to single numbers, which need not be aligned

kernel = triton.jit(do_not_specialize=NUMBERS, do_not_specialize_on_alignment=POINTERS)
"""Makes a kernel, which is compiled once for all numbers."""


@triton.jit
def words_of(key, drawn):
    """Return the four words of the counters of this program's chunk."""
    return _words(key, drawn, tl.program_id(0).to(tl.int64) * CHUNK + tl.arange(0, CHUNK))


@triton.jit
def half_at(key, drawn, position):
    """Return the 16-bit numbers of single positions, of which each costs four words."""
    words = _words(key, drawn, position // (BLOCK * LANES) * BLOCK + position % BLOCK)
    lane = (position // BLOCK % LANES).to(tl.int32)
    low = tl.where(lane < 2, words[0], words[1])
    high = tl.where(lane < 6, words[2], words[3])
    word = tl.where(lane < 4, low, high)
    return ((word >> (16 * (lane % 2)).to(tl.uint32)) & 0xFFFF).to(tl.int32)


@triton.jit
def positions_of(lane: tl.constexpr, size):
    """Return the positions of one lane of this program's chunk, and which of them are inside of the array."""
    c = tl.program_id(0).to(tl.int64) * CHUNK + tl.arange(0, CHUNK)
    i = (c // BLOCK * LANES + lane) * BLOCK + c % BLOCK
    return i, i < size


@triton.jit
def column_of(i, size, columns):
    """Return the column of settings for the elements ``i``; the last one for those past the end."""
    return tl.minimum(i // (size // columns), columns - 1)


@triton.jit
def half_of(words, lane: tl.constexpr):
    """Return the 16-bit numbers of one lane of ``words``."""
    return ((words[lane // 2] >> (16 * (lane % 2))) & 0xFFFF).to(tl.int32)


@triton.jit
def _words(key, drawn, counter):
    key += tl.load(drawn)
    low, high = (counter & 0xFFFFFFFF).to(tl.uint32), (counter >> 32).to(tl.uint32)
    zero = tl.zeros_like(low)
    return tl.philox(key, low, high, zero, zero)
