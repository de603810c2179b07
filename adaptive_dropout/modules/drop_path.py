"""`DropPath`: whole examples lose a residual branch."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer

__all__ = ["DropPath"]


class DropPath(NoiseLayer):
    """Zero whole examples with probability p in training, multiply the others by 1 / (1 - p).

    Put it at the end of a residual branch, before the addition: the block is then skipped for these examples.
    Input (batch, ...). No gradient reaches p.

    >>> DropPath(0.1)
    DropPath(p=0.1)

    ``drop_prob``, as timm calls it, is p, to read and to write.

    Source: Huang et al. (2016), "Deep networks with stochastic depth", section 3, for each example.
    """

    @property
    def drop_prob(self) -> float:
        """p, by the name that timm's layer has for it."""
        return self.p

    @drop_prob.setter
    def drop_prob(self, p: float) -> None:
        self.p = p

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.drop_path` of ``x``."""
        return F.drop_path(x, p)
