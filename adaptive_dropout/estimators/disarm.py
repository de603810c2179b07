"""`DisARM`: ARM without the noise that the masks do not show."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adaptive_dropout.estimators.base import Estimator
from adaptive_dropout.functional.paired import Pair
from adaptive_dropout.noise.philox import LEVELS

__all__ = ["DisARM"]


@dataclass(frozen=True)
class DisARM(Estimator):
    """The weight (b~ - b) max(p, q) / 2, with q = 1 - p: 0 for each entry that mask and twin have in common.

    >>> DisARM()
    DisARM()

    Source: Dong, Mnih and Tucker (2020), section 3; Yin et al. (2020) found the same and call it U2G.
    """

    def weight(self, pair: Pair) -> Tensor:
        """Return (b~ - b) max(p, q) / 2."""
        p = pair.lost / LEVELS
        return (pair.twin() - pair.kept()) * torch.maximum(p, 1 - p) / 2
