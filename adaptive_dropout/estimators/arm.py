"""`ARM`: augment, REINFORCE, merge."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from adaptive_dropout.estimators.base import Estimator
from adaptive_dropout.functional.paired import Pair

__all__ = ["ARM"]


@dataclass(frozen=True)
class ARM(Estimator):
    """The weight 1/2 - u, for a u that keeps where u >= p. `DisARM` is its mean for given masks, and varies less.

    >>> ARM()
    ARM()

    Source: Yin and Zhou (2019), theorem 1, for the logit of keeping, which is minus that of p.
    """

    def weight(self, pair: Pair) -> Tensor:
        """Return 1/2 - u."""
        return 0.5 - pair.uniform()
