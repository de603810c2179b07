"""Handwritten digits by a small vision transformer that loses patches of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.data import Digits
from benchmarks.beyond.gradient import Fitting, GradientLearner
from benchmarks.beyond.task import Task, entropy

__all__ = ["Patches", "VisionTransformer"]

_PATCH = 2


class VisionTransformer(nn.Module):
    """One block over the 16 patches of an image, their mean, and a linear layer: from (batch, 1, 8, 8) to the loss."""

    def __init__(self, p: float, channels: int = 32) -> None:
        super().__init__()
        self.dropout = ad.PatchDropout(p, _PATCH)
        self.patches = nn.Conv2d(1, channels, _PATCH, _PATCH)
        self.places = nn.Parameter(0.02 * torch.randn(16, channels))
        self.block = nn.TransformerEncoderLayer(channels, 4, 2 * channels, 0.0, batch_first=True, norm_first=True)
        self.head = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, 10))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy of each image, (batch,)."""
        tokens = self.patches(self.dropout(images)).flatten(2).mT + self.places
        return F.cross_entropy(self.head(self.block(tokens).mean(1)), labels, reduction="none")


@dataclass(frozen=True)
class Patches(Task):
    """Scikit-learn's digits, 360 to validate and 359 to test.

    Args:
        train: how many digits are trained on, at most 1078.
        lr: learning rate.
    """

    train: int = 300
    lr: float = 0.003

    def learner(self, folder: Path, seed: int, p: float) -> GradientLearner:
        """Return a transformer with initial weights from torch's seed."""
        data = Digits(n_train=self.train, seed=seed)
        parts = [(part.x, part.y) for part in data.examples()]
        return GradientLearner(VisionTransformer(p), parts, entropy(parts[0][1]), Fitting(every=12, lr=self.lr), seed)
