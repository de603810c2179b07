"""`DropPath`: drops a residual branch for whole examples."""

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

    ``drop_prob``, timm's name for p, can be read and assigned as well.

    Source: Huang et al. (2016), "Deep networks with stochastic depth", section 3, for each example.
    """

    @property
    def drop_prob(self) -> float:
        """The drop probability, by its name in timm's layer."""
        return self.p

    @drop_prob.setter
    def drop_prob(self, p: float) -> None:
        self.p = p

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.drop_path` of ``x``."""
        return F.drop_path(x, p)
