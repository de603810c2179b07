"""Drop-ins for torch's dropout layers, with a rate that can move: by element, by channel, and for SELU networks."""

from __future__ import annotations

from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import DropIn

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


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


class Dropout1d(DropIn, nn.Dropout1d):
    """Zero whole channels with probability p in training, multiply the others by 1 / (1 - p).

    Neighbours on a feature map carry the same information, so dropping single elements would hardly act as noise.

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


class AlphaDropout(DropIn, nn.AlphaDropout):
    """Set each element to SELU's saturation value with probability p in training, then shift and scale. Any shape.

    An input of mean 0 and variance 1 keeps both. A drop-in for `torch.nn.AlphaDropout`. No gradient reaches p.

    Source: Klambauer et al. (2017), section 2; maths in `adaptive_dropout.functional.alpha_dropout`.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.alpha_dropout` of ``x``."""
        return F.alpha_dropout(x, p, self.inplace)


class FeatureAlphaDropout(DropIn, nn.FeatureAlphaDropout):
    """Apply alpha dropout to whole channels of (batch, channels, ...). At least 2 dimensions.

    A drop-in for `torch.nn.FeatureAlphaDropout`. No gradient reaches p.

    Source: Klambauer et al. (2017), section 2, with the mask of Tompson et al. (2015).
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.feature_alpha_dropout` of ``x``."""
        return F.feature_alpha_dropout(x, p, self.inplace)
