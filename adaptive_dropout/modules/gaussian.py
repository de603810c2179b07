"""`GaussianDropout`: multiplicative Gaussian noise instead of a mask."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer

__all__ = ["GaussianDropout"]


class GaussianDropout(NoiseLayer):
    """Multiply by N(1, p / (1 - p)) in training. Any shape.

    p is on dropout's scale: the noise has the variance of a dropout mask with that p. p can be learned, as in
    ``GaussianDropout(LearnedRate(0.1))``, also for each unit or channel, with a rate of shape (features,) or
    (channels, 1, 1). The loss of the data alone drives a learned p to 0, so something in the loss has to reward noise:
    `VariationalDropout` has such a term, which `penalty` adds.

    Source: Srivastava et al. (2014), section 10; Kingma et al. (2015) call the variance alpha.
    """

    learnable: ClassVar[bool] = True

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.gaussian_dropout` of ``x``."""
        return F.gaussian_dropout(x, p)
