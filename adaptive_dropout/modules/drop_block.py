"""DropBlock: layers that drop contiguous blocks of feature maps, at exactly the rate that was asked for."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.checks import check_count
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["DropBlock1d", "DropBlock2d", "DropBlock3d"]


class _DropBlock(NoiseLayer):
    def __init__(self, p: float | Schedule | Rate = 0.1, block_size: int = 7, shared: bool = False) -> None:
        super().__init__(p)
        self.block_size = check_count(block_size, "block_size")
        self.shared = shared

    def extra_repr(self) -> str:
        """Show p, the size of a block, then the source of p unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        shared = ["shared=True"] if self.shared else []
        return ", ".join([p, f"block_size={self.block_size}", *shared, *source])


class DropBlock1d(_DropBlock):
    """Zero pieces of ``block_size`` neighbours, a share p of each channel; multiply the rest by 1 / (1 - p).

    Input (batch, channels, length); otherwise as `DropBlock2d`.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.drop_block1d` of ``x``."""
        return F.drop_block1d(x, p, self.block_size, self.shared)


class DropBlock2d(_DropBlock):
    """Zero square blocks of feature maps, a share p of each in the mean; multiply the rest by 1 / (1 - p).

    What a convolution can restore from the neighbours of a dropped pixel is dropped with it. Put it behind the
    convolutions of the last two stages, and let p begin at 0: ``DropBlock2d(CurriculumSchedule(0.1))``, or a steered
    rate. Input (batch, channels, height, width). The share is p itself for any sizes, odd or even, also where the block
    is larger than the map; public layers drop up to nine times as much. No gradient reaches p.

    >>> DropBlock2d(0.1)
    DropBlock2d(p=0.1, block_size=7)

    Args:
        p: the share in [0, 1], schedule or rate.
        block_size: height and width of a block in pixels, at least 1.
        shared: drop the same blocks in all channels. The authors found a mask for each channel better.

    Source: Ghiasi et al. (2018); for the differences see `functional.drop_block2d`.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.drop_block2d` of ``x``."""
        return F.drop_block2d(x, p, self.block_size, self.shared)


class DropBlock3d(_DropBlock):
    """Zero cubes of ``block_size`` voxels a side, a share p of each channel; multiply the rest by 1 / (1 - p).

    Input (batch, channels, d, h, w); otherwise as `DropBlock2d`.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.drop_block3d` of ``x``."""
        return F.drop_block3d(x, p, self.block_size, self.shared)
