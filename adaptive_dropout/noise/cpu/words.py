"""The parts of all kernels: random words, and arrays that are only an address.

numba compiles a kernel anew when its own file changes, not when this one does: after a change here, remove the folders
``__pycache__`` of the kernels.
"""

# mypy: ignore-errors

from __future__ import annotations

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from adaptive_dropout.noise.philox import BLOCK, CHUNK, LOW, MULTIPLIERS, ROUNDS, WEYL

__all__ = ["BLOCKS", "columns_of", "compiled", "fill_words", "half", "halves", "inlined", "part", "rows_from", "words"]

compiled = njit(cache=True, nogil=True, error_model="numpy")  # Python's would test each divisor
inlined = njit(inline="always", error_model="numpy")

BLOCKS = CHUNK // BLOCK
M0, M1 = (np.uint64(multiplier) for multiplier in MULTIPLIERS)
W0, W1 = (np.uint64(weyl) for weyl in WEYL)
LOW, HIGH = np.uint64(LOW), np.uint64(32)
LEFT = np.uint32(16)


@inlined
def words(key, counter):
    """Return the four words of a counter, all uint64 but the words."""
    # Held in 64 bits of which only the low 32 count: a multiplication reads no others, so nothing is cut off before.
    c0, c1, c2, c3 = counter, counter >> HIGH, np.uint64(0), np.uint64(0)
    k0, k1 = key & LOW, key >> HIGH
    for _ in range(ROUNDS):
        a, b = (c0 & LOW) * M0, (c2 & LOW) * M1
        c0, c1, c2, c3 = b >> HIGH ^ c1 ^ k0, b, a >> HIGH ^ c3 ^ k1, a
        k0, k1 = k0 + W0, k1 + W1
    return np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)


@inlined
def halves(key, counter):
    """Return the eight lanes of a counter, each in the high half of a uint32; the low half is to be ignored."""
    w0, w1, w2, w3 = words(key, counter)
    low = np.uint32(w0 << LEFT), np.uint32(w1 << LEFT), np.uint32(w2 << LEFT), np.uint32(w3 << LEFT)
    return low[0], w0, low[1], w1, low[2], w2, low[3], w3


@compiled
def half(key, block, i):
    """Return the lane of element ``i`` of a block."""
    return halves(key, np.uint64(block * BLOCK + i % BLOCK))[i // BLOCK]


@compiled
def fill_words(rows, key, chunk):
    """Write the words of a chunk into ``rows``, (4, CHUNK)."""
    first = np.uint64(chunk) * np.uint64(CHUNK)
    for c in range(CHUNK):
        rows[0, c], rows[1, c], rows[2, c], rows[3, c] = words(np.uint64(key), first + np.uint64(c))


@intrinsic
def _pointer(context, address, like):
    """Return ``address`` as a pointer to numbers of the type of ``like``."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(like)(address, like), generate


@compiled
def part(address, start, n, settings):
    """Return the ``n`` numbers from ``start`` on; not as a slice of an array, which would count references."""
    return carray(_pointer(np.int64(address + start * np.int64(settings.itemsize)), settings[0, 0]), (n,))


@compiled
def rows_from(rows, begin):
    """Return the numbers of ``rows`` from ``begin`` of the first row on; not as a slice either."""
    return carray(_pointer(np.int64(rows.ctypes.data + begin * rows.itemsize), rows[0, 0]), (rows.size - begin,))


@compiled
def columns_of(settings, size, start, span):
    """Return the column of the element ``start``, how many elements share one, and whether the next ``span`` do."""
    if settings.shape[1] == 1:
        return 0, max(size, 1), start + span <= size
    inner = size // settings.shape[1]
    column = start // inner
    return column, inner, start + span <= min(size, (column + 1) * inner)
