"""The networks that are sampled: dropout where practice puts it, in torch's own layers, which a loop can use too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptive_dropout.networks import CNN, MLP

__all__ = ["NETWORKS", "Case"]


@dataclass(frozen=True)
class Case:
    """A network and its input.

    Args:
        new: makes the network.
        shape: of one example.
        target: how many times as fast as the loop sampling has to be; 0 where none was set.
    """

    new: Callable[[], nn.Module]
    shape: tuple[int, ...]
    target: float = 0.0

    def batch(self, size: int) -> Tensor:
        """Return a batch of this size."""
        return torch.randn(size, *self.shape)


def head_dropout_cnn() -> nn.Module:
    """Convolutions with BatchNorm, and dropout before the last layer only."""
    parts: list[nn.Module] = []
    for before, after in ((1, 32), (32, 64)):
        parts += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


NETWORKS = {
    "MLP 64-128-128-10": Case(lambda: MLP(64, 10, (128, 128), nn.Dropout), (64,), 2.3),
    "MLP 784-512-512-10": Case(lambda: MLP(784, 10, (512, 512), nn.Dropout), (784,), 2.3),
    "CNN with BatchNorm, dropout before its last layer": Case(head_dropout_cnn, (1, 28, 28), 10.0),
    "CNN, dropout after each layer": Case(lambda: CNN(1, 10, dropout=nn.Dropout), (1, 28, 28)),
    "Transformer encoder, dropout after each layer": Case(encoder, (16, 64)),
}
