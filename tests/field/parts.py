"""What the kinds are built of: a small net with our dropout, a plain LightningModule, and points of three classes."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad

FEATURES, CLASSES, BATCH = 6, 3, 8


def mlp(out: int = CLASSES, p: float = 0.25, features: int = FEATURES) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, 12), nn.ReLU(), ad.Dropout(p), nn.Linear(12, out))


class Plain(L.LightningModule):
    """A classifier as in the first lines of every tutorial."""

    def __init__(self, net: nn.Module | None = None) -> None:
        super().__init__()
        self.net = mlp() if net is None else net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]

    def loss(self, batch: Any) -> Tensor:
        return F.cross_entropy(self(batch[0]), batch[1])

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def points(n: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (n,), generator=generator)
    x = torch.randn(n, FEATURES, generator=generator) + F.one_hot(y, FEATURES)
    return TensorDataset(x, y)


def rows(n: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    data = points(n, seed)
    return [data[i] for i in range(n)]


def loaders(train: Any = None, val: Any = None, collate: Any = None, n: int = 32) -> dict[str, Any]:
    train, val = points(n, 1) if train is None else train, points(16, 2) if val is None else val
    return {
        "train_dataloaders": DataLoader(train, BATCH, shuffle=True, collate_fn=collate),
        "val_dataloaders": DataLoader(val, BATCH, collate_fn=collate),
    }
