"""Random bits as a pure function of (key, position): Philox4x32-10 in torch integer operations.

This is the definition; every kernel is compared with it. The generator maps a key of 64 bits and a counter to
four words of 32 bits. Positions are those of the elements in row-major order, whatever the strides. A block is 32
counters, so that kernels load and store 32 neighbours at a time and walk through memory in order. A counter serves
eight positions, and position i has

    block b = i // 256, lane l = (i % 256) // 32, counter c = 32 b + i % 32

and takes lane l of the words of c: a half of word l // 2, low half first, or one of the two normals made of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "BLOCK",
    "CHUNK",
    "KEYS",
    "LANES",
    "LEVELS",
    "halves",
    "lanes_in_order",
    "philox4x32",
    "word_blocks",
]

BLOCK = 32  # counters
LANES = 8  # positions that share a counter
CHUNK = 512  # counters that a kernel takes at a time, sixteen blocks
LEVELS = 1 << 16  # of a 16-bit number
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
LOW = 0xFFFFFFFF
KEYS = 2**63 - 1  # that `torch.randint` draws, from 0 on

Four = tuple[Tensor, Tensor, Tensor, Tensor]


def halves(key: Tensor, n: int) -> Tensor:
    """Return the 16-bit numbers of the positions 0 to ``n`` - 1; int32, (n,)."""
    lanes = [half.to(torch.int32) for word in word_blocks(key, n) for half in (word & 0xFFFF, word >> 16)]
    return lanes_in_order(lanes, n)


def philox4x32(counter: Four, key: tuple[Tensor, Tensor]) -> Four:
    """Return four words for each counter; all are int64 tensors in [0, 2^32), keys and counters broadcast.

    Source: Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        # Products of 64 bits wrap in int64, and the shift fills with the sign: after the mask the bits are right.
        a, b = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (b >> 32 & LOW) ^ c1 ^ k0, b & LOW, (a >> 32 & LOW) ^ c3 ^ k1, a & LOW
        k0, k1 = k0 + WEYL[0] & LOW, k1 + WEYL[1] & LOW
    return c0, c1, c2, c3


def word_blocks(key: Tensor, n: int) -> Four:
    """Return the four words of the counters that ``n`` positions need; int64, (blocks, 32)."""
    size = BLOCK * LANES
    counter = torch.arange((n + size - 1) // size * BLOCK, dtype=torch.int64, device=key.device).reshape(-1, BLOCK)
    zero = torch.zeros_like(counter)
    return philox4x32((counter & LOW, counter >> 32, zero, zero), (key & LOW, key >> 32 & LOW))


def lanes_in_order(lanes: Sequence[Tensor], n: int) -> Tensor:
    """Return the numbers of the positions 0 to ``n`` - 1 from each lane of them, (blocks, 32)."""
    return torch.stack(list(lanes), 1).flatten()[:n]
