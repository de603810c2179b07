"""A small residual network with two places for noise: on the branch of each block, and on the map that leaves it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from adaptive_dropout import DropPath

__all__ = ["NoNoise", "NoiseFactory", "ResNet"]

NoiseFactory = Callable[[int, int], nn.Module]
"""Makes a layer for place i of n, both counted from 1."""


class NoNoise(nn.Identity):
    """A place without noise."""


class Block(nn.Module):
    """Two convolutions between three normalisations, and nothing behind the sum: the block of PyramidNet.

    Args:
        inputs: channels that come in.
        channels: channels that go out.
        stride: of the first convolution; 2 halves the map.
        branch: noise on what is added.
        map: noise on the sum.

    Source: Han et al. (2017), figure 6 d. ShakeDrop needs the last normalisation.
    """

    def __init__(self, inputs: int, channels: int, stride: int, branch: nn.Module, map: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.stride, self.added = stride, channels - inputs
        self.branch_noise, self.map_noise = branch, map

    def forward(self, x: Tensor) -> Tensor:
        """Return the map behind the block."""
        if self.stride == 1 and not self.added and isinstance(self.branch_noise, DropPath):
            y = self.branch_noise.residual(x, self.branch)
        else:
            y = self._shortcut(x) + self.branch_noise(self.branch(x))
        noisy: Tensor = self.map_noise(y)
        return noisy

    def _shortcut(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 2) if self.stride == 2 else x
        return F.pad(x, (0, 0, 0, 0, 0, self.added)) if self.added else x


class ResNet(nn.Module):
    """Three stages on maps of 32, 16 and 8 pixels: (batch, 3, 32, 32) -> (batch, 10).

    Args:
        blocks: in each stage.
        width: channels of the first stage; each later one has twice as many.
        branch: noise on the branch of block i of n.
        map: noise on the map behind block i of n, in the last two stages.
    """

    def __init__(self, blocks: int, width: int, branch: NoiseFactory, map: NoiseFactory) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False)]
        inputs, number, n = width, 0, 3 * blocks
        for stage, channels in enumerate((width, 2 * width, 4 * width)):
            for first in range(blocks):
                number += 1
                behind = map(number, n) if stage else NoNoise()
                layers.append(Block(inputs, channels, 2 if stage and not first else 1, branch(number, n), behind))
                inputs = channels
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU())
        self.output = nn.Linear(inputs, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of ``images``."""
        logits: Tensor = self.output(self.features(images).mean((2, 3)))
        return logits
