"""Random bits as a function of a key and an unordered or ordered pair of numbers, as the two ends of an edge.

Philox, ten rounds of it, would take eight times as long: 740 ms for a million edges on one core.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["pair_halves"]

# As int64: products and sums wrap.
GAMMA, FIRST, SECOND = (number - 2**64 for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def pair_halves(key: Tensor, first: Tensor, second: Tensor, ordered: bool) -> Tensor:
    """Return a 16-bit number for each pair; int64, of the shape of ``first``.

    It is the upper end of ``mix(key, pair)`` of `keys`, where the pair is the smaller number times 2^32 plus the larger
    one, or, if ``ordered``, the first times 2^32 plus the second.

    Args:
        key: int64, 0-dim.
        first: one of each pair; int64, in [0, 2^32).
        second: the other.
        ordered: whether (i, j) and (j, i) are two pairs.
    """
    if not ordered:
        first, second = torch.minimum(first, second), torch.maximum(first, second)
    return _split_mix(_split_mix(key) + (first << 32) + second) >> 48 & 0xFFFF


def _split_mix(state: Tensor) -> Tensor:
    # Shifts fill with the sign; the masks take it away.
    z = state + GAMMA
    z = (z ^ (z >> 30 & 2**34 - 1)) * FIRST
    z = (z ^ (z >> 27 & 2**37 - 1)) * SECOND
    return z ^ (z >> 31 & 2**33 - 1)
