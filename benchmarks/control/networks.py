"""The one network of the study that the library does not have: convolutions with batch normalisation."""

from __future__ import annotations

import torch
from torch import nn

from adaptive_dropout.networks import DropoutFactory

__all__ = ["batch_norm_cnn"]

_CHANNELS = (16, 32, 64)


def batch_norm_cnn(out_features: int, dropout: DropoutFactory) -> nn.Module:
    """Return a network (batch, 3, 32, 32) -> (batch, out_features): three convolutions, each with dropout after it.

    A block is 3x3 convolution, 2x2 max-pooling, batch normalisation, ReLU and dropout; the last maps, (64, 4, 4), are
    averaged over space. It lies in memory channels last, which is faster on a CPU.
    """
    blocks = [_block(before, after, dropout) for before, after in zip((3, *_CHANNELS), _CHANNELS, strict=False)]
    layers = (*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_CHANNELS[-1], out_features))
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def _block(before: int, after: int, dropout: DropoutFactory) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        dropout(),
    )
