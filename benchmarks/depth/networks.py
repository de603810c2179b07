"""A deep MLP, a convolutional network with dropout on its input as well, and a vision transformer."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from adaptive_dropout.networks import CNN, MLP, DropoutFactory
from adaptive_dropout.networks.factory import new_layer

__all__ = ["VisionTransformer", "deep_mlp", "four_site_cnn"]


def deep_mlp(dropout: DropoutFactory) -> MLP:
    """Return six layers of 256 units for photographs of 32x32 pixels, dropout after each.

    Weights begin with the variance 1.98 / inputs and biases with .02, which keeps the signal's size over depth; torch's
    own start shrinks it by 6 in each layer. So it was done in the published runs that `README.md` is held against.
    """
    network = MLP(3 * 32 * 32, 10, (256,) * 6, dropout)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=math.sqrt(1.98 / layer.in_features))
            nn.init.normal_(layer.bias, std=math.sqrt(0.02))
    return network


def four_site_cnn(channels: int, size: int, dropout: DropoutFactory) -> nn.Sequential:
    """Return a `CNN` for ten classes with dropout on the pixels, after both convolutions and after the dense layer."""
    network = CNN(channels, 10, size, dropout=dropout)
    return nn.Sequential(OrderedDict([("dropout0", new_layer(dropout)), *network.named_children()]))


class VisionTransformer(nn.Module):
    """A pre-norm transformer on square patches: (batch, 3, size, size) -> (batch, 10).

    The logits are linear in the mean over the patches. A block has dropout on what attention adds and on what the dense
    part adds: ``blocks.0.dropout1``, ``blocks.0.dropout2``. There is none on the embedding.

    Args:
        dropout: makes one dropout layer per call.
        size: height and width in pixels, a multiple of ``patch``.
        patch: height and width of a patch.
        blocks: how many there are.
        channels: the width, a multiple of 4, the number of heads.

    Source: Dosovitskiy et al. (2021).
    """

    def __init__(
        self, dropout: DropoutFactory, size: int = 32, patch: int = 8, blocks: int = 6, channels: int = 64
    ) -> None:
        super().__init__()
        self.embedding = nn.Conv2d(3, channels, kernel_size=patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn((size // patch) ** 2, channels))
        self.blocks = nn.Sequential(*(_block(channels, dropout) for _ in range(blocks)))
        self.norm = nn.LayerNorm(channels)
        self.output = nn.Linear(channels, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of ``images``."""
        patches = self.embedding(images).flatten(2).mT + self.position
        logits: Tensor = self.output(self.norm(self.blocks(patches)).mean(1))
        return logits


def _block(channels: int, dropout: DropoutFactory) -> nn.TransformerEncoderLayer:
    block = nn.TransformerEncoderLayer(
        channels, 4, 2 * channels, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    for name in ("dropout1", "dropout2"):
        block.register_module(name, new_layer(dropout))
    return block
