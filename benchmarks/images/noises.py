"""DropBlock as others compute it, written from its formulas: the same rate of blocks, inside the map or anywhere."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from adaptive_dropout import NoiseLayer

__all__ = ["AnywhereDropBlock2d", "first_order_rate", "inside_drop_block"]


def first_order_rate(p: float | Tensor, height: int, width: int, block: int) -> float | Tensor:
    """Return the rate of blocks for p, to first order, where they stay inside the map: Ghiasi et al., equation 1."""
    return p * height * width / block**2 / ((height - block + 1) * (width - block + 1))


def inside_drop_block(x: Tensor, p: float, block: int = 7) -> Tensor:
    """DropBlock in torch operations as in torchvision: blocks inside, one mask for each channel; odd blocks only."""
    batch, channels, height, width = x.shape
    rate = first_order_rate(p, height, width, block)
    seeds = torch.empty((batch, channels, height - block + 1, width - block + 1), dtype=x.dtype, device=x.device)
    lost = F.max_pool2d(F.pad(seeds.bernoulli_(rate), [block // 2] * 4), block, 1, block // 2)
    kept = 1 - lost
    return x * kept * (kept.numel() / (1e-6 + kept.sum()))


class AnywhereDropBlock2d(NoiseLayer):
    """DropBlock as in timm since December 2025: that rate, but of blocks that begin anywhere and stick out of the map.

    More of them reach a pixel than the rate allows for: on a map of 8 pixels .1 loses .7. The mask is one for all
    channels, and what is kept is scaled by its share in the whole batch. Blocks are 7 pixels, or as large as the map.
    """

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return ``x`` with the blocks."""
        batch, _, height, width = x.shape
        block = min(7, height, width)
        rate = first_order_rate(p, height, width, block)
        seeds = (torch.rand((batch, 1, height, width), dtype=torch.float32, device=x.device) < rate).float()
        kept = 1 - F.max_pool2d(seeds, block, 1, block // 2)[:, :, :height, :width]
        return (x * kept * (kept.numel() / (kept.sum() + 1e-7))).to(x.dtype)
