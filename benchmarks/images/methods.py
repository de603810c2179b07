"""The noises that are compared, each as published: two places in the network, and what a map loses at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

import adaptive_dropout as ad
from benchmarks.images.network import NoiseFactory, NoNoise
from benchmarks.images.noises import AnywhereDropBlock2d

__all__ = ["METHODS", "Method"]

P = 0.1  # of DropBlock: Ghiasi et al. (2018), section 4.1, ResNet-50, blocks of 7, from 0 along a line
LAST = 0.5  # of the last block: Huang et al. (2016), section 4, and Yamada et al. (2019), section 4


def _nothing(number: int, n: int) -> nn.Module:
    return NoNoise()


@dataclass(frozen=True)
class Method:
    """Where there is noise.

    Args:
        branch: on the branch of each block.
        map: on the map behind each block of the last two stages.
    """

    branch: NoiseFactory = _nothing
    map: NoiseFactory = _nothing


def _ramped(kind: Callable[[ad.Schedule], nn.Module]) -> NoiseFactory:
    return lambda number, n: kind(ad.LinearSchedule(0.0, P))


def _rising(kind: Callable[[float], nn.Module]) -> NoiseFactory:
    return lambda number, n: kind(LAST * number / n)


METHODS: dict[str, Method] = {
    "none": Method(),
    "DropBlock, exact": Method(map=_ramped(ad.DropBlock2d)),
    "DropBlock, exact, shared": Method(map=_ramped(lambda p: ad.DropBlock2d(p, shared=True))),
    "DropBlock, timm's formula": Method(map=_ramped(AnywhereDropBlock2d)),
    "DropPath": Method(branch=_rising(ad.DropPath)),
    "ShakeDrop": Method(branch=_rising(ad.ShakeDrop)),
}
"""By name."""
