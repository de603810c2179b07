"""`Dropout`: `torch.nn.Dropout` with a rate that can move."""

from __future__ import annotations

from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.modules.drop_in import DropIn

__all__ = ["Dropout"]


class Dropout(DropIn, nn.Dropout):
    """Zero each element with probability p in training, multiply the others by 1 / (1 - p). Any shape.

    A drop-in for `torch.nn.Dropout`. No gradient reaches p: to learn it, use `GaussianDropout`, `ConcreteDropout`, or
    `BernoulliDropout`, whose mask is the same.

    >>> layer = Dropout(0.5)
    >>> layer.p = 0.2
    >>> layer
    Dropout(p=0.2, inplace=False)

    Source: Srivastava et al. (2014), section 4.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.dropout` of ``x``."""
        return F.dropout(x, p, self.inplace)
