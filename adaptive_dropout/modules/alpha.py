"""`AlphaDropout` and `FeatureAlphaDropout`: dropout that keeps the mean 0 and variance 1 of SELU networks."""

from __future__ import annotations

from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.modules.drop_in import DropIn

__all__ = ["AlphaDropout", "FeatureAlphaDropout"]


class AlphaDropout(DropIn, nn.AlphaDropout):
    """Set each element to SELU's saturation value with probability p in training, then shift and scale. Any shape.

    A drop-in for `torch.nn.AlphaDropout`. No gradient reaches p.

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
