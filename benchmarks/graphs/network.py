"""Graph convolutions one after the other, with dropout of edges once for all of them and of features behind each."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from benchmarks.anchors.graphs import Graph

__all__ = ["DeepGCN", "normalised"]


class DeepGCN(nn.Module):
    """x <- dropout(relu(A x W + b)), the last layer without dropout and relu; a graph -> logits (nodes, classes).

    A is normalised anew without the dropped edges. An edge of a node to itself is never dropped.

    Args:
        features: of a node.
        classes: how many.
        layers: how many convolutions, at least 2.
        hidden: the width of all but the last.
        p: of the features behind each convolution.
        edges: of the edges.

    Source: Rong et al. (2020), "GCN"; Kipf and Welling (2017), equation 2.
    """

    def __init__(self, features: int, classes: int, layers: int, hidden: int, p: float, edges: float) -> None:
        super().__init__()
        self.drop_edge = ad.DropEdge(edges)
        widths = [features, *[hidden] * (layers - 1), classes]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for before, after in itertools.pairwise(widths):
            bound = 1 / math.sqrt(after)  # as in the published code
            self.weights.append(torch.empty(before, after).uniform_(-bound, bound))
            self.biases.append(torch.empty(after).uniform_(-bound, bound))
        self.dropouts = nn.ModuleList(ad.Dropout(p) for _ in range(layers - 1))

    def forward(self, graph: Graph) -> Tensor:
        """Return the logits of every node."""
        edges = graph["adjacency"].indices()
        stays = self.drop_edge(edges) | (edges[0] == edges[1])
        adjacency = normalised(edges, stays, len(graph["y"]))
        x = graph["features"]
        layers = list(zip(self.weights, self.biases, strict=True))
        for (weight, bias), dropout in zip(layers, self.dropouts, strict=False):
            x = dropout(F.relu(adjacency @ (x @ weight) + bias))
        weight, bias = layers[-1]
        logits: Tensor = adjacency @ (x @ weight) + bias
        return logits


def normalised(edges: Tensor, stays: Tensor, nodes: int) -> Tensor:
    """Return D^-1/2 A D^-1/2 of the edges that stay, sparse; ``edges`` have both directions, in order, each once."""
    weights = stays.float()
    degree = torch.zeros(nodes, device=edges.device).index_add(0, edges[0], weights)
    weights = weights * (degree[edges[0]] * degree[edges[1]]).rsqrt()
    return torch.sparse_coo_tensor(edges, weights, (nodes, nodes), is_coalesced=True, check_invariants=False)
