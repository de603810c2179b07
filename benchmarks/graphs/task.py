"""Cora with the published width, depth and training of DropEdge, as an `Anchor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from adaptive_dropout.checks import check_count
from benchmarks.anchors.graphs import Citation, Graph, NodeClassifier, OneGraph, read_graph
from benchmarks.graphs.network import DeepGCN

__all__ = ["DeepCitation"]


@dataclass(frozen=True)
class DeepCitation(Citation):
    """A citation graph with the public split of 20 nodes a class, and graph convolutions of any depth.

    Width, learning rate, weight decay and the number of steps are those of the published script for two layers
    (``script/semi-supervised/cora_GCN.sh``); those of eight layers were found by a search and are not published.

    Args:
        file: its name under ``graphs`` in the data folder.
        every, validations: as in `Anchor`; published are 400 steps.
        layers: how many convolutions.
        hidden: the width of all but the last.
        lr: Adam's learning rate.
        weight_decay: of all weights.

    Source: Rong et al. (2020), "DropEdge", and its code.
    """

    every: int = 4
    validations: int = 100
    layers: int = 8
    hidden: int = 128
    lr: float = 0.007
    weight_decay: float = 1e-5

    p: ClassVar[float] = 0.8
    """The script's rate of the features."""

    edges: ClassVar[float] = 0.6
    """The script's rate of the edges, of which it keeps .4."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.layers, "layers", 2)
        check_count(self.hidden, "hidden")

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the graph with the nodes of each part; the split is the same for every seed."""
        return _Parts(read_graph(self.files(folder)[0]))

    def train(self, data: Any, p: float, edges: float) -> L.LightningModule:
        """Return what is trained with ``p`` for features and ``edges`` for edges."""
        features, classes = data.graph["features"].shape[1], int(data.graph["y"].max()) + 1
        network = DeepGCN(features, classes, self.layers, self.hidden, p, edges)
        return _Deep(network, self.lr, self.weight_decay)


class _Parts(OneGraph):
    """The whole graph is a batch, and says in ``nodes`` which of its nodes are meant.

    So `AdaptiveDropout` can measure the loss of training nodes as that of validation is measured.
    """

    def train_dataloader(self) -> DataLoader[Graph]:
        return self._of("train")

    def val_dataloader(self) -> DataLoader[Graph]:
        return self._of("val")

    def test_dataloader(self) -> DataLoader[Graph]:
        return self._of("test")

    def _of(self, part: str) -> DataLoader[Graph]:
        batch = {**self.graph, "nodes": self.graph[part]}
        return DataLoader([batch], batch_size=None, generator=torch.Generator())  # type: ignore[arg-type]


class _Deep(NodeClassifier):
    """Reads the nodes of the batch; weight decay acts on all layers."""

    def training_step(self, graph: Graph, batch_idx: int) -> torch.Tensor:
        nodes = graph["nodes"]
        return F.cross_entropy(self.network(graph)[nodes], graph["y"][nodes])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.network.parameters(), self.lr, weight_decay=self.weight_decay)

    def _evaluate(self, graph: Graph, stage: str) -> None:
        super()._evaluate({**graph, stage: graph["nodes"]}, stage)
