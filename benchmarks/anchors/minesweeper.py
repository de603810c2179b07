"""Minesweeper: a grid of fields, some of which show how many mines are beside them; which fields are mines?"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_auroc

from benchmarks.anchors.anchor import Anchor, require
from benchmarks.anchors.graphs import Graph, OneGraph, normalise

__all__ = ["DeepGCN", "Minesweeper", "read_grid"]


@functools.lru_cache(maxsize=2)
def read_grid(file: Path, number: int) -> Graph:
    """Return the grid in split ``number``, of 0 to 9; the features are those of the file."""
    with np.load(file) as arrays:
        features = torch.from_numpy(arrays["node_features"])
        edges = torch.from_numpy(arrays["edges"].astype(np.int64)).T
        masks = {part: arrays[f"{part}_masks"][number] for part in ("train", "val", "test")}
        y = torch.from_numpy(arrays["node_labels"].astype(np.int64))
    parts = {part: torch.from_numpy(np.flatnonzero(mask)) for part, mask in masks.items()}
    return {"features": features, "adjacency": normalise(edges, len(y)), "y": y, **parts}


class DeepGCN(nn.Module):
    """Graph convolutions beside dense layers: x <- dropout(relu(norm(A x W + x V + b))); a graph -> logits (nodes,).

    Args:
        features: of a node.
        layers: how many.
        hidden: the width of each.
        p: of the dropout after each layer.

    Source: Luo et al. (2024), section 3, with batch norm and residual connections.
    """

    def __init__(self, features: int, layers: int, hidden: int, p: float) -> None:
        super().__init__()
        widths = [features, *[hidden] * layers]
        pairs = list(itertools.pairwise(widths))
        self.convolved = nn.ModuleList(nn.Linear(before, after, bias=False) for before, after in pairs)
        self.direct = nn.ModuleList(nn.Linear(before, after) for before, after in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in pairs)
        self.dropouts = nn.ModuleList(nn.Dropout(p) for _ in pairs)
        self.output = nn.Linear(hidden, 1)

    def forward(self, graph: Graph) -> Tensor:
        """Return the logit of a mine at every field."""
        x = graph["features"]
        for convolved, direct, norm, dropout in zip(
            self.convolved, self.direct, self.norms, self.dropouts, strict=True
        ):
            x = dropout(norm(graph["adjacency"] @ convolved(x) + direct(x)).relu())
        logits: Tensor = self.output(x)
        return logits.squeeze(1)


class _Mines(L.LightningModule):
    """Trains on the masks of one graph; logs the loss, and the area under the ROC curve."""

    def __init__(self, network: DeepGCN, lr: float) -> None:
        super().__init__()
        self.network = network
        self.lr = lr

    def training_step(self, graph: Graph, batch_idx: int) -> Tensor:
        return self._loss(self.network(graph), graph, "train")

    def validation_step(self, graph: Graph, batch_idx: int) -> None:
        self._evaluate(graph, "val")

    def test_step(self, graph: Graph, batch_idx: int) -> None:
        self._evaluate(graph, "test")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)

    def _evaluate(self, graph: Graph, part: str) -> None:
        logits, nodes = self.network(graph), graph[part]
        self.log(f"{part}_loss", self._loss(logits, graph, part), batch_size=len(nodes))
        area = binary_auroc(logits[nodes].sigmoid(), graph["y"][nodes])
        self.log(f"{part}_area", area, batch_size=len(nodes))

    @staticmethod
    def _loss(logits: Tensor, graph: Graph, part: str) -> Tensor:
        nodes = graph[part]
        return F.binary_cross_entropy_with_logits(logits[nodes], graph["y"][nodes].float())


@dataclass(frozen=True)
class Minesweeper(Anchor):
    """10 000 fields, half of which train and a quarter validates; the seed is the number of the published split.

    Args:
        every, validations: as in `Anchor`; published are 2000 steps, a batch is the whole graph.
        layers: 12 as published.
        hidden: 64 as published.
        lr: Adam's learning rate, as published.
    """

    every: int = 4
    validations: int = 75
    layers: int = 6
    hidden: int = 32
    lr: float = 0.01

    p: ClassVar[float] = 0.2

    def files(self, folder: Path) -> list[Path]:
        """Return the file of the grid."""
        return require(folder, "graphs/minesweeper.npz")

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the grid."""
        return OneGraph(read_grid(self.files(folder)[0], seed % 10))

    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return the published network at this size."""
        return _Mines(DeepGCN(data.graph["features"].shape[1], self.layers, self.hidden, p), self.lr)

    def score(self, tested: Mapping[str, float], data: Any) -> float:
        """Return the area under the ROC curve in percent."""
        return 100 * tested["test_area"]
