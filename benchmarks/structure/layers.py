"""A training step of a transformer whose blocks are skipped, in several ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from benchmarks.speed.timing import Call

__all__ = ["WAYS", "Size", "Way", "step_of"]


@dataclass(frozen=True)
class Size:
    """The size of the transformer and of its batch; tokens are vectors, and there is neither embedding nor head."""

    layers: int = 12
    channels: int = 256
    batch: int = 8
    time: int = 64


class LeftOut(nn.ModuleList):
    """The usual form: a layer that is left out has no gradient, and the optimizer passes it by."""

    def __init__(self, layers: Iterable[nn.Module], p: float) -> None:
        super().__init__(layers)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the layers that are kept."""
        for layer, drawn in zip(self, torch.rand(len(self)).tolist(), strict=True):
            if drawn >= self.p:
                x = layer(x)
        return x


class PerExample(nn.Module):
    """Each block runs on the whole batch, and what it adds is dropped for single examples."""

    def __init__(self, layers: Iterable[nn.Module], p: float) -> None:
        super().__init__()
        self.layers, self.drop = nn.ModuleList(layers), ad.DropPath(p)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of all layers."""
        for layer in self.layers:
            x = x + self.drop(layer(x) - x)
        return x


@dataclass(frozen=True)
class Way:
    """How blocks are skipped, and the share of them that runs."""

    new: Callable[[list[nn.Module]], nn.Module]
    share: float


def _late(layers: list[nn.Module]) -> nn.Module:
    blocks = ad.LayerDrop(layers, ad.progressive_layer_dropping(len(layers), 0.5, steps=1000), rescale=True)
    ad.set_step(blocks, 1000)
    return blocks


WAYS = {
    "all blocks": Way(lambda layers: nn.Sequential(*layers), 1.0),
    "LayerDrop, p = 0": Way(lambda layers: ad.LayerDrop(layers, 0.0), 1.0),
    "DropPath, p = .2": Way(lambda layers: PerExample(layers, 0.2), 1.0),
    "LayerDrop, p = .2": Way(lambda layers: ad.LayerDrop(layers, 0.2), 0.8),
    "left out without gradient, p = .2": Way(lambda layers: LeftOut(layers, 0.2), 0.8),
    "LayerDrop, p = .5": Way(lambda layers: ad.LayerDrop(layers, 0.5), 0.5),
    "progressive layer dropping to p = .5, at its end": Way(_late, 1 - 0.5 * 13 / 24),
}
"""Of the last, the share is that of 12 blocks."""


def step_of(way: Way, size: Size, device: str) -> Call:
    """Return a training step: forward and backward pass, and AdamW."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [
        nn.TransformerEncoderLayer(
            size.channels, 4, 4 * size.channels, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        for _ in range(size.layers)
    ]
    model = way.new(layers).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    x = torch.randn(size.batch, size.time, size.channels, device=device, requires_grad=True)

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    return step
