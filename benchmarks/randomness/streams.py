"""The bits as layers use them, cut into streams and sequences that should not know of each other.

A stream is read from start to end; sequences are compared element by element. Keys are drawn as the library draws
them, from torch's global generator; several layers draw one after the other in each step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adaptive_dropout.noise import philox
from adaptive_dropout.noise.keys import draw_key
from adaptive_dropout.noise.philox import BLOCK, LANES
from adaptive_dropout.noise.settings import as_key
from benchmarks.randomness.battery import Integers

__all__ = ["PHILOX", "Generator", "Numbers", "sequences", "streams"]

STEPS, LAYERS = 16, 4
BATCH = LANES * BLOCK  # positions of one key where many keys are looked at
NEIGHBOURS = 16  # sequences of neighbouring keys or seeds


@dataclass(frozen=True)
class Generator:
    """A source of bits: numbers of 16 bits at the first n positions of a key, and a new key."""

    halves: Callable[[Tensor, int], Tensor]
    draw_key: Callable[[Tensor], Tensor]

    def key(self, seed: int) -> Tensor:
        """Return the first key after ``torch.manual_seed(seed)``."""
        torch.manual_seed(seed)
        return self.draw_key(torch.empty(()))


PHILOX = Generator(philox.halves, lambda x: as_key(x, draw_key(x)))


@dataclass(frozen=True)
class Numbers:
    """Integers of ``bits`` bits, (n,) or (sequences, n), and what they are."""

    name: str
    numbers: Integers
    bits: int


def streams(generator: Generator, seed: int, n: int) -> Iterator[Numbers]:
    """Yield streams of about ``n`` numbers each; ``n`` is a multiple of 4096."""
    halves = _lanes(generator.halves(generator.key(seed), LANES * n))
    for lane, numbers in enumerate(halves):
        yield Numbers(f"lane {lane} of 8", numbers, 16)
    for lane, numbers in enumerate(_words(generator.halves(generator.key(seed + 1), LANES * n))):
        yield Numbers(f"word {lane} of 4", numbers, 32)
    counters = _lanes(generator.halves(generator.key(seed + 2), n))
    yield Numbers("all lanes of a counter, then of the next", counters.T.ravel(), 16)
    yield Numbers("elements in order", _integers(generator.halves(generator.key(seed + 3), n)), 16)
    for name, keys in _keys(generator, seed + 4, n // BATCH).items():
        yield Numbers(f"a position over {name}", np.stack(list(_noise(generator, keys, BATCH))).T.ravel(), 16)


def sequences(generator: Generator, seed: int, n: int) -> Iterator[Numbers]:
    """Yield sequences of about ``n`` numbers each; ``n`` is a multiple of 65536."""
    yield Numbers("lanes", _lanes(generator.halves(generator.key(seed), LANES * n)), 16)
    yield Numbers("words", _words(generator.halves(generator.key(seed + 1), LANES * n)), 32)
    counters = _lanes(generator.halves(generator.key(seed + 2), LANES * n))
    yield Numbers("neighbouring counters", counters.reshape(-1, LANES).T, 16)
    for name, keys in _keys(generator, seed + 4, NEIGHBOURS).items():
        yield Numbers(name, np.stack(list(_noise(generator, keys, n))), 16)
    torch.manual_seed(seed + 3)
    drawn = list(_noise(generator, _drawn(generator, STEPS * LAYERS), n // STEPS))
    by_step = np.stack(drawn).reshape(STEPS, LAYERS, -1)
    yield Numbers("layers of a step", by_step.swapaxes(0, 1).reshape(LAYERS, -1), 16)
    yield Numbers("steps of a layer", by_step.reshape(STEPS, -1), 16)


def _keys(generator: Generator, seed: int, count: int) -> dict[str, list[Tensor]]:
    first = generator.key(seed)
    return {
        "neighbouring keys": [first + number for number in range(count)],
        "keys drawn one after the other": _drawn(generator, count),
        "first keys of neighbouring seeds": [generator.key(seed + number) for number in range(count)],
    }


def _drawn(generator: Generator, count: int) -> list[Tensor]:
    return [generator.draw_key(torch.empty(())) for _ in range(count)]


def _noise(generator: Generator, keys: list[Tensor], n: int) -> Iterator[Integers]:
    return (_integers(generator.halves(key, n)) for key in keys)


def _lanes(numbers: Tensor) -> Integers:
    """Return (8, n): lane by lane the numbers of the counters in order."""
    return _integers(numbers).reshape(-1, LANES, BLOCK).swapaxes(0, 1).reshape(LANES, -1)


def _words(numbers: Tensor) -> Integers:
    """Return (4, n): word by word the numbers of 32 bits that the counters' numbers are halves of."""
    low, high = _lanes(numbers).reshape(LANES // 2, 2, -1).swapaxes(0, 1)
    return low | high << 16


def _integers(numbers: Tensor) -> Integers:
    return numbers.numpy().astype(np.uint32)
