"""How often a block has to begin for a share p of a map to be lost, as numbers or as a function of a tensor.

Blocks overlap, and fewer of them reach a pixel near the border. With m = min(b, H - b + 1) a row is reached from
1, 1, 2, 2, ..., m - 1, m - 1 and else m of the H - b + 1 places at which a block of b rows can begin; a pixel from the
product n of the counts of its row and its column. So with the probability g that a block begins at a place, the share

    L(g) = mean of 1 - (1 - g)^n over the pixels

is lost, and g is the root of L(g) = p. In s = -log(1 - g) the logarithm of 1 - L is convex and falls; Newton's method
stays below the root, and 7 steps from its tangent at 0 reach 1e-7 of 1 - p for all p and sizes that were tried.

A mask is drawn in steps of 2^-16, which would be coarse for g: a block of 7 rows on a map of 56 needs 1.7 of them at
p = 0.001. So g is rounded up, and a map keeps what its blocks would take with the probability 1 - p / L(g).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adaptive_dropout.noise.philox import LEVELS

__all__ = ["loss_of", "seed_rate", "seed_rate_of"]

STEPS = 8
ALL = 1 - 0.5 / LEVELS  # from here on p rounds to 1


def seed_rate(p: Tensor, sizes: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return g, and the probability that a map loses what its blocks take; of the shape, dtype and device of ``p``.

    Nothing waits for the device, and the number of operations is fixed: compiled code follows p.

    Args:
        p: in [0, 1], any shape.
        sizes: of a map, such as (H, W).
        blocks: of a block, no larger than the map.
    """
    work = torch.float32 if p.device.type == "mps" else torch.float64  # mps has none; rates err by 1e-4 of p there
    counts, shares = torch.ones(1, dtype=work, device=p.device), torch.ones(1, dtype=work, device=p.device)
    for size, block in zip(sizes, blocks, strict=True):
        most = min(block, size - block + 1)
        n = torch.arange(1, most + 1, dtype=work, device=p.device)
        share = torch.where(n < most, torch.full_like(n, 2 / size), torch.full_like(n, 1 - 2 * (most - 1) / size))
        counts, shares = (counts.unsqueeze(-1) * n).flatten(), (shares.unsqueeze(-1) * share).flatten()
    g, used = _solve(p.to(work), counts, shares, torch)
    return g.to(p.dtype), used.to(p.dtype)


@lru_cache(maxsize=4096)
def seed_rate_of(p: float, sizes: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[float, float]:
    """Return the same for a number, in numpy, which no mode of torch reaches."""
    counts, shares = np.ones(1), np.ones(1)
    for size, block in zip(sizes, blocks, strict=True):
        most = min(block, size - block + 1)
        share = np.full(most, 2 / size)
        share[-1] = 1 - 2 * (most - 1) / size
        counts, shares = np.outer(counts, np.arange(1, most + 1)).ravel(), np.outer(shares, share).ravel()
    g, used = _solve(np.asarray(p, np.float64), counts, shares, np)
    return float(g), float(used)


def loss_of(g: float, sizes: tuple[int, ...], blocks: tuple[int, ...]) -> float:
    """Return L(g) by counting the blocks over each pixel: the slow twin of what is solved for."""
    n = np.ones((1,) * len(sizes))
    for dim, (size, block) in enumerate(zip(sizes, blocks, strict=True)):
        reached = [sum(first <= pixel < first + block for first in range(size - block + 1)) for pixel in range(size)]
        n = n * np.reshape(reached, [-1 if dim == each else 1 for each in range(len(sizes))])
    return math.fsum((1 - (1 - g) ** n).ravel()) / n.size


def _solve(p: Any, n: Any, share: Any, xp: Any) -> tuple[Any, Any]:
    """Return g and p / L(g) from the counts ``n`` and the ``share`` of pixels with each; ``xp`` is numpy or torch."""
    rest = xp.log1p(-xp.clip(p, 0, ALL))
    s = -rest / (n * share).sum(-1)
    for _ in range(STEPS):
        parts = share * xp.exp(-s[..., None] * n)
        kept = parts.sum(-1)
        s = s + (xp.log(kept) - rest) * kept / (parts * n).sum(-1)
    g = xp.clip(xp.ceil(-xp.expm1(-s) * LEVELS), 1, LEVELS) / LEVELS
    g = xp.where(p < ALL, g, xp.ones_like(g))
    lost = 1 - (share * (1 - g[..., None]) ** n).sum(-1)
    return g, xp.clip(p / lost, 0, 1)
