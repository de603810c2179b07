"""Citation graphs: a batch is the whole graph, and masks say which nodes are trained on, validated on and tested on."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from adaptive_dropout.data import TensorDataModule
from adaptive_dropout.data.base import Examples
from adaptive_dropout.tasks import Classifier
from benchmarks.anchors.anchor import Anchor, require

__all__ = ["GCN", "Citation", "CitationNodes", "Graph", "NodeClassifier", "OneGraph", "normalise", "read_graph"]

Graph = Mapping[str, Tensor]
"""``features``, sparse (nodes, features); ``adjacency``, sparse (nodes, nodes); ``y``, (nodes,); and the numbers of
the nodes to ``train``, ``val`` and ``test``."""


@functools.lru_cache(maxsize=1)
def read_graph(file: Path) -> Graph:
    """Return a graph whose rows of features have the sum 1, and whose adjacency is D^-1/2 (A + I) D^-1/2.

    Source: Kipf and Welling (2017), equation 2.
    """
    with np.load(file) as arrays:
        nodes, features = (int(size) for size in arrays["shape"])
        edges = torch.from_numpy(arrays["edges"].astype(np.int64)).T
        places = torch.from_numpy(np.stack([arrays["feature_row"], arrays["feature_column"]]).astype(np.int64))
        values = torch.from_numpy(arrays["feature_value"])
        split = {name: torch.from_numpy(arrays[name]) for name in ("train", "val", "test")}
        y = torch.from_numpy(arrays["label"])
    sums = torch.zeros(nodes).index_add_(0, places[0], values)
    shares = values / sums[places[0]]
    rows = torch.sparse_coo_tensor(places, shares, (nodes, features), check_invariants=True).coalesce()
    return {"features": rows, "adjacency": normalise(edges, nodes), "y": y, **split}


def normalise(edges: Tensor, nodes: int) -> Tensor:
    """Return the normalised adjacency of undirected ``edges``, (2, n), each given once."""
    edges = edges[:, edges[0] != edges[1]]
    itself = torch.arange(nodes).expand(2, nodes)
    both = torch.cat([edges, edges.flip(0), itself], 1)
    both = torch.sparse_coo_tensor(both, torch.ones(both.shape[1]), (nodes, nodes), check_invariants=True)
    both = both.coalesce().indices()
    degree = torch.bincount(both[0], minlength=nodes).float()
    weights = (degree[both[0]] * degree[both[1]]).rsqrt()
    return torch.sparse_coo_tensor(both, weights, (nodes, nodes), is_coalesced=True, check_invariants=True)


class GCN(nn.Module):
    """Two graph convolutions without bias, with dropout before each: a graph -> logits (nodes, classes).

    Dropout of the input acts on the features that are not 0; the others stay 0 in any case.

    Source: Kipf and Welling (2017), section 3.1.
    """

    def __init__(self, features: int, classes: int, p: float, hidden: int = 16) -> None:
        super().__init__()
        self.dropout1, self.dropout2 = nn.Dropout(p), nn.Dropout(p)
        self.weight1 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(features, hidden)))
        self.weight2 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(hidden, classes)))

    def forward(self, graph: Graph) -> Tensor:
        """Return the logits of every node."""
        x, adjacency = graph["features"], graph["adjacency"]
        kept = self.dropout1(x.values())
        x = torch.sparse_coo_tensor(x.indices(), kept, x.shape, is_coalesced=True, check_invariants=False)
        hidden = (adjacency @ (x @ self.weight1)).relu()
        logits: Tensor = adjacency @ (self.dropout2(hidden) @ self.weight2)
        return logits


class NodeClassifier(L.LightningModule):
    """Trains a `GCN` as most code for graphs does: every step gets the whole graph, and reads the nodes of its stage.

    Weight decay acts on the first layer only.

    Args:
        network: gives logits of all nodes.
        lr: Adam's learning rate.
        weight_decay: of the first layer, as part of its gradient.
    """

    def __init__(self, network: GCN, lr: float, weight_decay: float) -> None:
        super().__init__()
        self.network = network
        self.lr = lr
        self.weight_decay = weight_decay

    def training_step(self, graph: Graph, batch_idx: int) -> Tensor:
        """Return the loss of the training nodes."""
        nodes = graph["train"]
        return F.cross_entropy(self.network(graph)[nodes], graph["y"][nodes])

    def validation_step(self, graph: Graph, batch_idx: int) -> None:
        """Log loss and accuracy of the validation nodes."""
        self._evaluate(graph, "val")

    def test_step(self, graph: Graph, batch_idx: int) -> None:
        """Log loss and accuracy of the test nodes."""
        self._evaluate(graph, "test")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return _adam(self.network, self.lr, self.weight_decay)

    def _evaluate(self, graph: Graph, stage: str) -> None:
        nodes = graph[stage]
        logits, y = self.network(graph)[nodes], graph["y"][nodes]
        self.log(f"{stage}_loss", F.cross_entropy(logits, y), batch_size=len(nodes))
        self.log(f"{stage}_accuracy", (logits.argmax(1) == y).float().mean(), batch_size=len(nodes))


class OneGraph(L.LightningDataModule):
    """The same graph as the only batch of training, validation and test."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def train_dataloader(self) -> DataLoader[Graph]:
        """Return a loader of one batch."""
        # A generator of its own: a loader that draws from torch's would move the noise.
        return DataLoader([self.graph], batch_size=None, generator=torch.Generator())  # type: ignore[arg-type]

    val_dataloader = test_dataloader = train_dataloader


@dataclass(frozen=True)
class Citation(Anchor):
    """A citation graph with the public split of 20 nodes a class, and Kipf's and Welling's network and training.

    Args:
        file: its name under ``graphs`` in the data folder.
        every, validations: as in `Anchor`; as published, 200 steps, and a validation after each.
        lr: Adam's learning rate.
        weight_decay: of the first layer.
    """

    file: str = "cora"
    every: int = 1
    validations: int = 200
    lr: float = 0.01
    weight_decay: float = 5e-4

    p: ClassVar[float] = 0.5

    def files(self, folder: Path) -> list[Path]:
        """Return the file of the graph."""
        return require(folder, f"graphs/{self.file}.npz")

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the graph; the split is the same for every seed."""
        return OneGraph(read_graph(self.files(folder)[0]))

    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return the published network, to be trained on masks of one graph."""
        return NodeClassifier(self._network(data.graph, p), self.lr, self.weight_decay)

    def score(self, tested: Mapping[str, float], data: Any) -> float:
        """Return the accuracy in percent."""
        return 100 * tested["test_accuracy"]

    def _network(self, graph: Graph, p: float) -> GCN:
        return GCN(graph["features"].shape[1], int(graph["y"].max()) + 1, p)


@dataclass(frozen=True)
class CitationNodes(Citation):
    """The same training, written so that a batch is node numbers and their labels, and the graph is in the network.

    A batch has all the training nodes, so a step is the same as in `Citation`.
    """

    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the nodes of each part, with the graph."""
        return _Nodes(read_graph(self.files(folder)[0]), seed)

    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return a `Classifier` of node numbers."""
        network = _AtNodes(self._network(data.graph, p), data.graph)
        return _NumberedNodes(network, int(data.graph["y"].max()) + 1, self.lr, self.weight_decay)


class _Nodes(TensorDataModule):
    def __init__(self, graph: Graph, seed: int) -> None:
        super().__init__(batch_size=len(graph["train"]), seed=seed)
        self.graph = graph

    def examples(self) -> tuple[Examples, Examples, Examples]:
        train, val, test = (Examples(self.graph[part], self.graph["y"][self.graph[part]]) for part in _PARTS)
        return train, val, test


_PARTS = ("train", "val", "test")


class _AtNodes(nn.Module):
    """Node numbers (batch,) -> logits (batch, classes)."""

    def __init__(self, network: GCN, graph: Graph) -> None:
        super().__init__()
        self.gcn = network
        self.register_buffer("features", graph["features"], persistent=False)
        self.register_buffer("adjacency", graph["adjacency"], persistent=False)

    def forward(self, nodes: Tensor) -> Tensor:
        logits: Tensor = self.gcn({"features": self.features, "adjacency": self.adjacency})
        return logits[nodes]


class _NumberedNodes(Classifier):
    def __init__(self, network: _AtNodes, classes: int, lr: float, weight_decay: float) -> None:
        super().__init__(network, classes)
        self.lr = lr
        self.weight_decay = weight_decay

    def configure_optimizers(self) -> torch.optim.Optimizer:
        network: Any = self.network
        return _adam(network.gcn, self.lr, self.weight_decay)


def _adam(network: GCN, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    first: dict[str, Any] = {"params": [network.weight1], "weight_decay": weight_decay}
    return torch.optim.Adam([first, {"params": [network.weight2]}], lr=lr)
