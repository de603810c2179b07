"""Five tests of random integers: each gives a p-value, uniform in [0, 1] if they are independent and uniform.

The first four read a stream, (n,), the last one sequences side by side, (sequences, n); all hold unsigned integers of
``bits`` bits, 16 or 32. A p-value near 0 says too irregular, one near 1 too regular: both are failures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats  # type: ignore[import-untyped]

__all__ = [
    "STREAM_TESTS",
    "Integers",
    "birthday_spacings",
    "correlation",
    "frequency",
    "gap",
    "reversed_bits",
    "serial",
]

Integers = npt.NDArray[np.integer[Any]]

FREQUENCY_BITS = 8
SERIAL_BITS = 6
DROPPED = 0.1
LONGEST_GAP = 40  # longer ones share a cell, of 1.5 %
BIRTHDAYS, YEAR = 1 << 12, 1 << 32  # four repeated spacings in the mean
GROUPS = 64  # of birthdays; more would show that their repeats are not quite Poisson
BYTE_REVERSED = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], dtype=np.uint8)


def frequency(numbers: Integers, bits: int) -> float:
    """Each value of the highest 8 bits comes equally often (chi-square)."""
    return _evenness(numbers >> (bits - FREQUENCY_BITS), 1 << FREQUENCY_BITS)


def serial(numbers: Integers, bits: int) -> float:
    """Each pair of neighbours, 6 bits of each, comes equally often (chi-square); pairs do not overlap.

    Source: Knuth (1997), The Art of Computer Programming, volume 2, section 3.3.2 B.
    """
    high = numbers[: len(numbers) // 2 * 2] >> (bits - SERIAL_BITS)
    return _evenness(high[::2] << SERIAL_BITS | high[1::2], 1 << 2 * SERIAL_BITS)


def gap(numbers: Integers, bits: int) -> float:
    """The kept elements between two that are dropped at p = 0.1 are as many as they should be (chi-square).

    Source: Knuth (1997), section 3.3.2 D.
    """
    threshold = round(DROPPED * 2**bits)
    gaps = np.diff(np.flatnonzero(numbers < threshold)) - 1
    if not len(gaps):
        return 0.0
    lost = threshold / 2**bits
    expected = lost * (1 - lost) ** np.arange(LONGEST_GAP)
    counts = np.bincount(gaps.clip(max=LONGEST_GAP), minlength=LONGEST_GAP + 1)
    return _chi_square(counts, np.append(expected, 1 - expected.sum()))


def birthday_spacings(numbers: Integers, bits: int) -> float:
    """Of the spacings between 4096 birthdays in a year of 2^32 days as many are equal as should be (Poisson).

    A birthday is a number of 32 bits, or two neighbours of 16 bits. The count is discrete: its p-value is the middle of
    the step that it stands on.

    Source: Marsaglia (1985); L'Ecuyer and Simard (2001) on when the count is Poisson.
    """
    days = numbers if bits == 32 else numbers[: len(numbers) // 2 * 2 : 2] << 16 | numbers[1::2]
    groups = min(len(days) // BIRTHDAYS, GROUPS)
    days = np.sort(days[: groups * BIRTHDAYS].reshape(groups, BIRTHDAYS).astype(np.int64), axis=1)
    spacings = np.sort(np.diff(days, axis=1), axis=1)
    repeats = int((np.diff(spacings, axis=1) == 0).sum())
    expected = groups * BIRTHDAYS**3 / (4 * YEAR)
    return float(stats.poisson.sf(repeats, expected) + stats.poisson.pmf(repeats, expected) / 2)


def correlation(sequences: Integers, bits: int) -> float:
    """No two of the sequences are correlated (the squares of all their correlations, summed: chi-square)."""
    count, n = sequences.shape
    centred = (sequences + 0.5) / 2.0**bits - 0.5
    scores = centred @ centred.T * 12 / n**0.5  # a uniform number has variance 1 / 12
    pairs = scores[np.triu_indices(count, 1)]
    return float(stats.chi2.sf((pairs**2).sum(), len(pairs)))


def reversed_bits(numbers: Integers, bits: int) -> Integers:
    """Return the numbers with their lowest bit first: the tests above look at high bits."""
    whole = BYTE_REVERSED[np.ascontiguousarray(numbers, dtype="<u4").view(np.uint8)].view(">u4").astype(np.uint32)
    return whole.reshape(numbers.shape) >> (32 - bits)


STREAM_TESTS: dict[str, Callable[[Integers, int], float]] = {
    "frequency": frequency,
    "serial": serial,
    "gap": gap,
    "birthday spacings": birthday_spacings,
}


def _evenness(cells: Integers, count: int) -> float:
    return _chi_square(np.bincount(cells, minlength=count), np.full(count, 1 / count))


def _chi_square(counts: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> float:
    expected = probabilities * counts.sum()
    return float(stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1))
