"""`PatchDropout`: drops whole patches of an image, so that no single patch decides its class."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.checks import check_count
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["PatchDropout"]


class PatchDropout(NoiseLayer):
    """Zero whole patches of an image with probability p in training, multiply the others by 1 / (1 - p).

    Put it before the network, with patches of the size that a vision transformer uses, or any other. Input (batch,
    channels, height, width). No gradient reaches p.

    >>> PatchDropout(0.5, patch=4)
    PatchDropout(p=0.5, patch=4)

    Args:
        p: drop probability in [0, 1], schedule or rate.
        patch: height and width of a patch in pixels, at least 1.

    Source: Liu et al. (2023), "PatchDropout: economizing vision transformers"; for the
    differences see `functional.patch_dropout`.
    """

    def __init__(self, p: float | Schedule | Rate = 0.5, patch: int = 16) -> None:
        super().__init__(p)
        self.patch = check_count(patch, "patch")

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.patch_dropout` of ``x``."""
        return F.patch_dropout(x, p, self.patch)

    def extra_repr(self) -> str:
        """Show p, the size of a patch, then the source of p unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        return ", ".join([p, f"patch={self.patch}", *source])
