"""Characters of Shakespeare, with the networks and the training of nanoGPT's two small examples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from adaptive_dropout.data import Text
from adaptive_dropout.networks import GPT
from adaptive_dropout.tasks import LanguageModel
from benchmarks.anchors.anchor import Anchor, require

__all__ = ["Characters", "LargerCharacters"]

WARM_UP = 100  # steps
LOWEST = 0.1  # of the learning rate, at the end


class _Model(LanguageModel):
    """AdamW whose learning rate rises for 100 steps, and falls to a tenth along half a cosine."""

    def __init__(self, network: GPT, steps: int) -> None:
        super().__init__(network)
        self.steps = steps

    def configure_optimizers(self) -> Any:
        matrices = [weight for weight in self.parameters() if weight.dim() > 1]
        others = [weight for weight in self.parameters() if weight.dim() < 2]
        groups: list[dict[str, Any]] = [{"params": matrices, "weight_decay": 0.1}, {"params": others}]
        optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0)
        schedule = {"scheduler": LambdaLR(optimizer, self._share), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _share(self, step: int) -> float:
        if step < WARM_UP:
            return (step + 1) / (WARM_UP + 1)
        done = min(1.0, (step - WARM_UP) / max(1, self.steps - WARM_UP))
        return LOWEST + (1 - LOWEST) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Characters(Anchor):
    """The first nine tenths of the text train; of the rest, one half validates and the other tests.

    Args:
        every, validations: as in `Anchor`; 2000 steps as published.
        layers, heads, channels: of the network, as published.
        context: characters in a window.
        batch_size: windows, drawn anew for each seed.
    """

    every: int = 50
    validations: int = 40
    layers: int = 4
    heads: int = 4
    channels: int = 128
    context: int = 64
    batch_size: int = 12

    p: ClassVar[float] = 0.0
    clip: ClassVar[float | None] = 1.0

    def files(self, folder: Path) -> list[Path]:
        """Return the text."""
        return require(folder, "tiny_shakespeare/input.txt")

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the windows."""
        return Text(self.files(folder)[0], self.context, self.batch_size, steps_per_epoch=self.every, seed=seed)

    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return the network."""
        network = GPT(data.vocabulary, self.context, self.layers, self.heads, self.channels, lambda: nn.Dropout(p))
        return _Model(network, self.every * self.validations)

    def score(self, tested: Mapping[str, float], data: Any) -> float:
        """Return the loss in nats per character."""
        return tested["test_loss"]


@dataclass(frozen=True)
class LargerCharacters(Characters):
    """The example for a GPU: 10.6 million weights in bfloat16. Without dropout it soon overfits."""

    every: int = 80
    validations: int = 50
    layers: int = 6
    heads: int = 6
    channels: int = 384
    context: int = 256
    batch_size: int = 64

    p: ClassVar[float] = 0.2
    precision: ClassVar[str] = "bf16-mixed"
