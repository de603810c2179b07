"""Which edges or nodes of a graph stay, for graphs as a list of edges; no graph library is needed.

Each function returns a mask, never a shorter list: shapes stay, so nothing waits for a device, code is compiled once,
and the same mask serves weights and features of the edges. Nothing is rescaled.

An edge list is (2, edges), of integers: the numbers of the nodes that an edge leaves and reaches.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from adaptive_dropout.checks import check_count
from adaptive_dropout.functional.bernoulli import dropout, lost_and_kept
from adaptive_dropout.functional.inputs import as_given, as_number, is_known_zero
from adaptive_dropout.noise.backend import readable
from adaptive_dropout.noise.keys import draw_key
from adaptive_dropout.noise.pairs import pair_halves
from adaptive_dropout.noise.settings import Key, as_key

__all__ = ["KeptGraph", "check_edges", "drop_edge", "drop_node"]


class KeptGraph(NamedTuple):
    """What `drop_node` leaves of a graph.

    Args:
        nodes: whether each stays; bool, (nodes,).
        edges: whether both ends stay; bool, (edges,).
    """

    nodes: Tensor
    edges: Tensor


def drop_edge(edges: Tensor, p: float | Tensor, directed: bool = False, key: Key | None = None) -> Tensor:
    """Return which ``edges`` stay: each is dropped with probability ``p``; bool, (edges,).

    The two directions of an undirected edge stay or go together, in whatever order the list has them, and so does an
    edge that is listed several times. Add the edges from nodes to themselves afterwards, or they are dropped too.

    The caller normalises the graph that is left: for a graph convolution, degrees are to be counted again without the
    dropped edges. Stored degrees or a cached adjacency would be those of the whole graph.

    >>> edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> stays = drop_edge(edges, 0.5).float()
    >>> degree = torch.zeros(3).index_add(0, edges[0], stays) + 1  # with itself
    >>> weight = stays * (degree[edges[0]] * degree[edges[1]]).rsqrt()

    ``edges[:, stays]`` is the shorter list; on a CUDA device it waits for the mask.

    Args:
        edges: (2, edges), of integers.
        p: in [0, 1]; a tensor (edges,) gives each edge its own, which has to be the same for both directions.
        directed: whether i to j and j to i are two edges, each with a fate of its own.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``edges`` has another shape, or is not of integers.
        IndexError: it holds a number below 0; not looked at where that would wait for a device (see `check_edges`).
        ValueError: ``p`` is outside [0, 1], or a tensor that requires a gradient.

    Source: Rong et al. (2020), "DropEdge: towards deep graph convolutional networks on node classification", equation
    3. They keep a fixed number of edges; here each has its own chance.
    """
    _check_list(edges)
    number, key = as_number(p), as_given(key, edges)
    if is_known_zero(p, number):
        return torch.ones_like(edges[0], dtype=torch.bool)
    if isinstance(p, Tensor) and p.requires_grad:
        raise ValueError("which edges stay passes no gradient to p; set it, schedule it, or let a controller steer it")
    lost, _ = lost_and_kept(edges[0], p)
    first, second = edges.long().unbind()
    drawn = as_key(edges, draw_key(edges) if key is None else key)
    return pair_halves(drawn, first, second, directed) >= lost


def drop_node(edges: Tensor, p: float | Tensor, nodes: int, key: Key | None = None) -> KeptGraph:
    """Drop each node with probability ``p``, and every edge at a dropped node.

    An edge between two nodes stays with probability (1 - p)^2. The features of dropped nodes are the caller's: multiply
    them by ``kept.nodes[:, None]`` or they still reach what the caller adds, as edges of a node to itself do. So is
    the normalisation, as for `drop_edge`.

    >>> edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> kept = drop_node(edges, 0.5, nodes=3)
    >>> x = torch.ones(3, 8) * kept.nodes[:, None]

    Args:
        edges: (2, edges), of integers.
        p: in [0, 1]; a tensor (nodes,) gives each node its own.
        nodes: how many there are.
        key: as in `dropout`.

    Raises:
        RuntimeError: ``edges`` has another shape, or is not of integers.
        IndexError: it names a node that is not there; not looked at where that would wait for a device.
        TypeError, ValueError: ``nodes`` is not a whole number from 0 on, or ``p`` is as in `drop_edge`.

    Source: Do et al. (2021), "Graph convolutional neural networks with node transition probability-based message
    passing and DropNode regularization", section 3.3; You et al. (2020), GraphCL, "node dropping".
    """
    _check_list(edges, check_count(nodes, "nodes", 0))
    stay = dropout(torch.ones(nodes, device=edges.device), p, key=key) > 0
    return KeptGraph(stay, stay[edges[0].long()] & stay[edges[1].long()])


def check_edges(edges: Tensor, nodes: int) -> None:
    """Raise unless ``edges`` is a list (2, edges) of integers from 0 to ``nodes`` - 1, whatever device it is on.

    The functions here look at the numbers on a CPU only. Ask once, where a graph comes in: this waits for the device.

    Raises:
        RuntimeError: ``edges`` has another shape, or is not of integers.
        IndexError: it names a node that is not there.
    """
    _check_form(edges)
    _check_range(edges, check_count(nodes, "nodes", 0))


def _check_list(edges: Tensor, nodes: int | None = None) -> None:
    _check_form(edges)
    if readable(edges):
        _check_range(edges, nodes)


def _check_form(edges: Tensor) -> None:
    if edges.is_floating_point() or edges.is_complex() or edges.dtype == torch.bool:
        raise RuntimeError(f"an edge list has to be of integers, but got {edges.dtype}; use edges.long()")
    if edges.dim() != 2 or edges.shape[0] != 2:
        turned = "; use edges.T" if edges.dim() == 2 and edges.shape[1] == 2 else ""
        raise RuntimeError(f"an edge list has to be (2, edges), but got shape {tuple(edges.shape)}{turned}")


def _check_range(edges: Tensor, nodes: int | None) -> None:
    if not edges.numel():
        return
    low, high = (int(end) for end in torch.aminmax(edges))
    if low < 0:
        raise IndexError(f"nodes are numbered from 0 on, but the edge list holds {low}")
    if nodes is not None and high >= nodes:
        raise IndexError(f"there are {nodes} nodes, the last of which is {nodes - 1}, but the edge list holds {high}")
