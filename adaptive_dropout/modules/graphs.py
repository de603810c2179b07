"""`DropEdge` and `DropNode`: which edges or nodes of a graph take part in a training step."""

from __future__ import annotations

from torch import Tensor

from adaptive_dropout import functional as F
from adaptive_dropout.functional.graphs import KeptGraph
from adaptive_dropout.modules.base import Proxy, Rated, record_call
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["DropEdge", "DropNode"]


class DropEdge(Rated):
    """Says which edges of a graph stay: each is dropped with probability p in training, and none in eval mode.

    The two directions of an undirected edge go together. The edge list is (2, edges), the result bool, (edges,).
    Nothing is rescaled, and the caller normalises the graph that is left. No gradient reaches p.

    >>> import torch
    >>> drop_edge = DropEdge(0.6)
    >>> edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> stays = drop_edge(edges)  # edges[:, stays], or stays.float() as weights

    Call it once for all layers of a network, as published, or before each one.

    Args:
        p: drop probability in [0, 1], schedule or rate.
        directed: whether i to j and j to i are two edges, each with a fate of its own.

    Source: Rong et al. (2020); maths and errors in `functional.drop_edge`.
    """

    def __init__(self, p: float | Schedule | Rate = 0.5, directed: bool = False) -> None:
        super().__init__(p)
        self.directed = directed

    def forward(self, edges: Tensor) -> Tensor:
        """Return which ``edges``, (2, edges), stay."""
        if isinstance(edges, Proxy):
            recorded: Tensor = record_call(self, edges)
            return recorded
        return F.drop_edge(edges, self.rate.read() if self.training else 0.0, self.directed)

    def extra_repr(self) -> str:
        """Show p, whether edges are directed, then the source of p unless it is simply set."""
        p, *source = super().extra_repr().split(", ", 1)
        return ", ".join([p, f"directed={self.directed}", *source])


class DropNode(Rated):
    """Says which nodes of a graph stay, and with them which edges: a node is dropped with probability p in training.

    In eval mode all stay. The edge list is (2, edges); the result has two masks, ``nodes`` and ``edges``. The features
    of dropped nodes and the normalisation are the caller's. No gradient reaches p.

    >>> import torch
    >>> drop_node = DropNode(0.1)
    >>> kept = drop_node(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), nodes=3)
    >>> kept.nodes.shape, kept.edges.shape
    (torch.Size([3]), torch.Size([4]))

    Args:
        p: drop probability in [0, 1], schedule or rate.

    Source: Do et al. (2021) and You et al. (2020); maths and errors in `functional.drop_node`.
    """

    def forward(self, edges: Tensor, nodes: int) -> KeptGraph:
        """Return which of ``nodes`` nodes and which ``edges``, (2, edges), stay."""
        if isinstance(edges, Proxy):
            recorded: KeptGraph = record_call(self, edges, nodes)
            return recorded
        return F.drop_node(edges, self.rate.read() if self.training else 0.0, nodes)
