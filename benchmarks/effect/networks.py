"""The two networks of the study for photographs that the library does not have: a residual one and a transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adaptive_dropout.networks.factory import DropoutFactory, new_layer

__all__ = ["small_resnet", "small_vit"]

_CHANNELS = (32, 64, 128)
_WIDTH, _DEPTH, _HEADS, _PATCH = 96, 4, 4, 8


def small_resnet(out_features: int, image_size: int, dropout: DropoutFactory) -> nn.Module:
    """Return a network (batch, 3, size, size) -> (batch, out_features): a convolution, three residual blocks, a mean.

    Every block halves the size and ends in dropout.

    Source: He et al. (2016), the basic block.
    """
    stem = (nn.Conv2d(3, _CHANNELS[0], 3, 2, 1, bias=False), nn.BatchNorm2d(_CHANNELS[0]), nn.ReLU())
    pairs = zip((_CHANNELS[0], *_CHANNELS), _CHANNELS, strict=False)
    blocks = [_ResidualBlock(before, after, dropout) for before, after in pairs]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_CHANNELS[-1], out_features))
    return nn.Sequential(*stem, *blocks, *head).to(memory_format=torch.channels_last)


def small_vit(out_features: int, image_size: int, dropout: DropoutFactory) -> nn.Module:
    """Return a network (batch, 3, size, size) -> (batch, out_features): 8x8 patches, four blocks of width 96, a mean.

    Dropout follows the embedding of the patches, and attention and the dense layers of each block.

    Source: Dosovitskiy et al. (2021), with the mean over patches in place of the class token.
    """
    blocks = [_TransformerBlock(dropout) for _ in range(_DEPTH)]
    return nn.Sequential(_Patches(image_size), new_layer(dropout), *blocks, _MeanHead(out_features))


class _ResidualBlock(nn.Module):
    def __init__(self, before: int, after: int, dropout: DropoutFactory) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Conv2d(before, after, 1, 2, bias=False)
        self.dropout = new_layer(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the size."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        out: Tensor = self.dropout(F.relu(y + self.shortcut(x)))
        return out


class _Patches(nn.Module):
    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, _WIDTH, _PATCH, _PATCH)
        self.places = nn.Parameter(0.02 * torch.randn((image_size // _PATCH) ** 2, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Return one vector a patch, (batch, patches, width)."""
        patches: Tensor = self.embed(x).flatten(2).mT + self.places
        return patches


class _TransformerBlock(nn.Module):
    def __init__(self, dropout: DropoutFactory) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(_WIDTH)
        self.query_key_value = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.output = nn.Linear(_WIDTH, _WIDTH)
        self.dropout1 = new_layer(dropout)
        self.norm2 = nn.LayerNorm(_WIDTH)
        self.dense = nn.Sequential(nn.Linear(_WIDTH, 4 * _WIDTH), nn.GELU(), nn.Linear(4 * _WIDTH, _WIDTH))
        self.dropout2 = new_layer(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the residual path behind the block, of the shape of ``x``."""
        split = self.query_key_value(self.norm1(x)).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
        x = x + self.dropout1(self.output(mixed))
        y: Tensor = x + self.dropout2(self.dense(self.norm2(x)))
        return y


class _MeanHead(nn.Module):
    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(_WIDTH)
        self.output = nn.Linear(_WIDTH, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the mean over the patches."""
        logits: Tensor = self.output(self.norm(x).mean(1))
        return logits
