"""The one network of the study that the library does not have: convolutions with batch normalisation."""

from __future__ import annotations

from torch import nn

from adaptive_dropout.networks import DropoutFactory

__all__ = ["batch_norm_cnn"]

_CHANNELS = (32, 64, 128)


def batch_norm_cnn(out_features: int, dropout: DropoutFactory) -> nn.Sequential:
    """Return a network (batch, 3, 32, 32) -> (batch, out_features): three convolutions, each with dropout after it.

    A block is 3x3 convolution, batch normalisation, ReLU, 2x2 max-pooling and dropout; the last maps, (128, 4, 4), are
    averaged over space.
    """
    blocks = [_block(before, after, dropout) for before, after in zip((3, *_CHANNELS), _CHANNELS, strict=False)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_CHANNELS[-1], out_features))


def _block(before: int, after: int, dropout: DropoutFactory) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.MaxPool2d(2),
        dropout(),
    )
