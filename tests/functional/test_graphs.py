"""Which edges and nodes stay: how often, which together, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from adaptive_dropout.functional import check_edges, drop_edge, drop_node
from adaptive_dropout.noise.keys import mix
from adaptive_dropout.noise.pairs import pair_halves

PS = [0.0, 0.001, 0.1, 0.5, 0.9, 1.0]


def path(nodes: int) -> Tensor:
    """The undirected path 0 - 1 - 2 - ..., each edge in both directions, (2, 2 (nodes - 1))."""
    one_way = torch.stack([torch.arange(nodes - 1), torch.arange(1, nodes)])
    return torch.cat([one_way, one_way.flip(0)], 1)


def star(leaves: int) -> Tensor:
    return torch.stack([torch.zeros(leaves, dtype=torch.int64), torch.arange(1, leaves + 1)])


def within_5_standard_errors(dropped: int, n: int, p: float) -> bool:
    # p is rounded to a multiple of 2^-16
    return abs(dropped - n * p) <= 5 * (n * p * (1 - p)) ** 0.5 + n * 2**-17


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("nodes", [2, 3, 8, 40_001])
@pytest.mark.parametrize("directed", [False, True])
def test_an_edge_is_dropped_with_probability_p(nodes: int, p: float, directed: bool) -> None:
    edges = path(nodes)
    calls = 60 if nodes < 10 else 1
    stays = torch.stack([drop_edge(edges, p, directed) for _ in range(calls)])
    assert (stays.shape, stays.dtype) == ((calls, edges.shape[1]), torch.bool)
    fates = stays if directed else stays[:, : nodes - 1]
    assert within_5_standard_errors(int((~fates).sum()), fates.numel(), p)


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("nodes", [1, 7, 40_001])
def test_a_node_is_dropped_with_p_and_an_edge_if_either_end_is(nodes: int, p: float) -> None:
    edges = path(nodes)
    for _ in range(20 if nodes < 10 else 1):
        kept = drop_node(edges, p, nodes)
        assert torch.equal(kept.edges, kept.nodes[edges[0]] & kept.nodes[edges[1]])
    assert within_5_standard_errors(int((~kept.nodes).sum()), nodes, p)
    apart = kept.edges[: nodes - 1 : 2]  # edges without a common node
    assert within_5_standard_errors(int((~apart).sum()), len(apart), 1 - (1 - p) ** 2)


@pytest.mark.parametrize("edges", [path(1001)[:, :1000], star(1000), path(1001)[:, :1000] + 2**31])
def test_the_fates_of_edges_are_independent(edges: Tensor) -> None:
    kept = torch.stack([drop_edge(edges, 0.5) for _ in range(400)]).double()
    # The number of edges that stay is binomial, and neighbours in the list agree half of the time.
    assert abs(kept.sum(1).var() / (1000 / 4) - 1) < 5 * (2 / 399) ** 0.5
    assert within_5_standard_errors(int((kept[:, 1:] == kept[:, :-1]).sum()), 400 * 999, 0.5)


def test_the_directions_of_an_edge_are_not_dropped_apart_as_by_the_published_code() -> None:
    edges = path(2000)
    stays = drop_edge(edges, 0.5)
    assert torch.equal(stays[:1999], stays[1999:])
    shuffled = torch.randperm(edges.shape[1])
    torch.manual_seed(3)
    first = drop_edge(edges, 0.5)
    torch.manual_seed(3)
    assert torch.equal(drop_edge(edges[:, shuffled], 0.5), first[shuffled]), "the order of the list matters"


def test_directions_of_a_directed_graph_go_apart_and_repeated_edges_together() -> None:
    edges = path(4001)
    stays = drop_edge(edges, 0.5, directed=True)
    assert within_5_standard_errors(int((stays[:4000] == stays[4000:]).sum()), 4000, 0.5)
    twice = torch.cat([edges, edges], 1)
    first, second = drop_edge(twice, 0.5, directed=True).chunk(2)
    assert torch.equal(first, second)


def test_the_expected_share_is_p_and_not_a_fixed_number_of_edges() -> None:
    counts = {int(drop_edge(path(101), 0.5).sum()) for _ in range(50)}
    assert len(counts) > 5


def test_the_result_is_a_mask_whatever_the_arguments_unlike_that_of_pyg() -> None:
    edges = path(5)
    for stays in (drop_edge(edges, 0.0), drop_edge(edges, 1.0), drop_edge(edges, 0.5, True), drop_edge(edges.int(), 0)):
        assert (stays.shape, stays.dtype) == ((8,), torch.bool)


def test_weights_made_with_the_mask_are_those_of_the_shorter_list_so_that_no_stale_degree_is_left() -> None:
    edges = path(500)
    stays = drop_edge(edges, 0.4)

    def normalised(edges: Tensor, weight: Tensor) -> Tensor:
        degree = torch.zeros(500).index_add(0, edges[0], weight) + 1
        return weight * (degree[edges[0]] * degree[edges[1]]).rsqrt()

    masked = normalised(edges, stays.float())
    assert not masked[~stays].any()
    assert torch.equal(masked[stays], normalised(edges[:, stays], torch.ones(int(stays.sum()))))


def test_the_features_of_a_dropped_node_go_with_it_which_pyg_keeps() -> None:
    edges, x = path(100), torch.ones(100, 3)
    kept = drop_node(edges, 0.5, len(x))
    dropped = x * kept.nodes[:, None]
    assert not dropped[~kept.nodes].any()
    received = torch.zeros(100, 3).index_add(0, edges[1], dropped[edges[0]] * kept.edges[:, None])
    assert not received[~kept.nodes].any()


def test_a_p_for_each_edge_and_for_each_node() -> None:
    edges = path(1001)
    p = (torch.arange(1000) % 2).float().repeat(2)
    assert torch.equal(drop_edge(edges, p), p == 0)
    alternating = (torch.arange(1001) % 2).float()
    assert torch.equal(drop_node(edges, alternating, 1001).nodes, alternating == 0)


def test_a_rate_of_0_draws_nothing_and_manual_seed_fixes_the_rest() -> None:
    edges = path(100)
    before = torch.get_rng_state()
    assert drop_edge(edges, torch.tensor(0.0)).all()
    assert all(part.all() for part in drop_node(edges, 0.0, 100))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    first = drop_edge(edges, 0.5), *drop_node(edges, 0.5, 100)
    torch.manual_seed(1)
    second = drop_edge(edges, 0.5), *drop_node(edges, 0.5, 100)
    assert all(map(torch.equal, first, second))
    assert not torch.equal(drop_edge(edges, 0.5), first[0])


def test_samples_of_vmap_lose_other_edges() -> None:
    edges = path(1000)
    stays = torch.vmap(lambda _: drop_edge(edges, 0.5), randomness="different")(torch.zeros(2))
    assert stays.shape == (2, 1998)
    assert torch.equal(stays[:, :999], stays[:, 999:])
    assert not torch.equal(*stays)


def test_a_graph_without_edges_or_nodes_stays_one() -> None:
    empty = torch.zeros(2, 0, dtype=torch.int64)
    assert drop_edge(empty, 0.5).shape == (0,)
    kept = drop_node(empty, 0.5, 0)
    assert (kept.nodes.shape, kept.edges.shape) == ((0,), (0,))


def test_the_number_of_a_pair_is_the_hash_of_keys() -> None:
    first, second = torch.randint(2**32, (2, 50))
    for key in (0, 2**63 - 2, -7):
        for ordered in (False, True):
            pairs = [
                (i, j) if ordered else sorted((i, j)) for i, j in zip(first.tolist(), second.tolist(), strict=True)
            ]
            expected = [(mix(key, (i << 32) + j) & 2**64 - 1) >> 48 for i, j in pairs]
            assert pair_halves(torch.tensor(key), first, second, ordered).tolist() == expected


@pytest.mark.parametrize(
    ("edges", "kind", "says"),
    [
        (torch.zeros(5, 2, dtype=torch.int64), RuntimeError, r"be \(2, edges\), but got shape \(5, 2\); use edges.T"),
        (torch.zeros(3, 4, dtype=torch.int64), RuntimeError, r"be \(2, edges\), but got shape \(3, 4\)$"),
        (torch.zeros(4, dtype=torch.int64), RuntimeError, r"be \(2, edges\), but got shape \(4,\)$"),
        (torch.zeros(2, 4), RuntimeError, r"of integers, but got torch.float32; use edges.long\(\)"),
        (torch.zeros(2, 4, dtype=torch.bool), RuntimeError, "of integers, but got torch.bool"),
        (torch.tensor([[0, -1], [1, 0]]), IndexError, "numbered from 0 on, but the edge list holds -1"),
    ],
)
def test_what_is_no_edge_list_is_told_in_one_line(edges: Tensor, kind: type[Exception], says: str) -> None:
    for call in (lambda: drop_edge(edges, 0.5), lambda: drop_node(edges, 0.0, 9), lambda: check_edges(edges, 9)):
        with pytest.raises(kind, match=says):
            call()


def test_a_node_that_is_not_there_is_told() -> None:
    edges = torch.tensor([[0, 3], [3, 1]])
    for call in (lambda: drop_node(edges, 0.5, 3), lambda: check_edges(edges, 3)):
        with pytest.raises(IndexError, match="there are 3 nodes, the last of which is 2, but the edge list holds 3"):
            call()
    check_edges(edges, 4)
    with pytest.raises(ValueError, match="nodes has to be at least 0, but got -1"):
        drop_node(edges, 0.5, -1)
    with pytest.raises(TypeError, match="nodes has to be a whole number, but got 4"):
        drop_node(edges, 0.5, 4.0)  # type: ignore[arg-type]


def test_a_wrong_p_is_told() -> None:
    edges = path(5)
    for call in (lambda p: drop_edge(edges, p), lambda p: drop_node(edges, p, 5)):
        for bad in (1.5, -0.1, float("nan"), torch.tensor(2.0)):
            with pytest.raises(ValueError, match="has to be between 0 and 1"):
                call(bad)
        with pytest.raises(ValueError, match="passes no gradient to p"):
            call(torch.tensor(0.5, requires_grad=True))
    with pytest.raises(ValueError, match="broadcast to x"):
        drop_edge(edges, torch.full((3,), 0.5))
    with forward_ad.dual_level():
        assert drop_edge(edges, 0.0).all()
