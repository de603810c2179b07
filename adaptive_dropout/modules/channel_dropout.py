"""`Dropout1d`, `2d`, `3d`: neighbours on a feature map say the same, so whole channels are dropped."""

from __future__ import annotations

from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.modules.drop_in import DropIn

__all__ = ["Dropout1d", "Dropout2d", "Dropout3d"]


class Dropout1d(DropIn, nn.Dropout1d):
    """Zero whole channels with probability p in training, multiply the others by 1 / (1 - p).

    A drop-in for `torch.nn.Dropout1d`. Input (batch, channels, length) or (channels, length); other
    shapes raise. No gradient reaches p.

    Source: Tompson et al. (2015), section 3.2.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.dropout1d` of ``x``."""
        return F.dropout1d(x, p, self.inplace)


class Dropout2d(DropIn, nn.Dropout2d):
    """Zero whole channels with probability p in training, multiply the others by 1 / (1 - p).

    A drop-in for `torch.nn.Dropout2d`. Input (batch, channels, height, width);
    3-dim input is read as (batch, channels, length) and warns, as in torch. No gradient reaches p.

    Source: Tompson et al. (2015), section 3.2.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.dropout2d` of ``x``."""
        return F.dropout2d(x, p, self.inplace)


class Dropout3d(DropIn, nn.Dropout3d):
    """Zero whole channels with probability p in training, multiply the others by 1 / (1 - p).

    A drop-in for `torch.nn.Dropout3d`. Input (batch, channels, d, h, w) or (channels, d, h, w); other
    shapes warn. No gradient reaches p.

    Source: Tompson et al. (2015), section 3.2.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.dropout3d` of ``x``."""
        return F.dropout3d(x, p, self.inplace)
