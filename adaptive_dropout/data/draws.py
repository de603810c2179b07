"""Training examples drawn at random, where there are too many, or too many alike, to go through all in an epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

__all__ = ["Draws"]


class Draws(Sampler[int]):
    """``length`` whole numbers in 0 ... ``n`` - 1, drawn uniformly with replacement, new ones each time.

    All of them are drawn at once when one begins to walk through them. On several devices Lightning shares them out.

    Args:
        n: how many numbers there are to draw from, at least 1.
        length: how many are drawn.
        generator: what draws them; its state is the place in the sequence of draws.
    """

    # Not torch's RandomSampler: on several devices Lightning puts in its place one that walks through everything.
    def __init__(self, n: int, length: int, generator: torch.Generator) -> None:
        self.n = n
        self.length = length
        self.generator = generator

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        numbers: list[int] = torch.randint(self.n, (self.length,), generator=self.generator).tolist()
        return iter(numbers)
