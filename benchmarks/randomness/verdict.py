"""The verdict on many p-values, with their number accounted for: two rules, each wrong once in a hundred times.

Bonferroni: none may be so near 0 or 1 that among as many tests it would be seen in fewer than 1 % of all batteries.
Kolmogorov-Smirnov: together they may not differ from uniform more than 1 % of all batteries do. Good generators
therefore pass both in 98 % of all batteries or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

__all__ = ["LEVEL", "Verdict", "two_sided", "verdict"]

LEVEL = 0.01


@dataclass(frozen=True)
class Verdict:
    """What many p-values say together.

    Args:
        tests: how many there are.
        extreme: the two-sided p-value of the most extreme of them.
        corrected: that, times their number, at most 1.
        uniform: p-value of the Kolmogorov-Smirnov test of all against the uniform distribution.
    """

    tests: int
    extreme: float
    corrected: float
    uniform: float

    @property
    def passed(self) -> bool:
        """Whether both rules are met."""
        return self.corrected >= LEVEL and self.uniform >= LEVEL


def two_sided(p: float) -> float:
    """Return how likely a p-value is that is as near to 0 or to 1."""
    return 2 * min(p, 1 - p)


def verdict(p_values: Sequence[float]) -> Verdict:
    """Return what the p-values say together; a ValueError where there are none."""
    if not p_values:
        raise ValueError("a verdict takes one p-value or more, but got none")
    extreme = min(map(two_sided, p_values))
    uniform = float(stats.kstest(np.asarray(p_values), "uniform").pvalue)
    return Verdict(len(p_values), extreme, min(extreme * len(p_values), 1.0), uniform)
