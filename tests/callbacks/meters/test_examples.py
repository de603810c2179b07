"""Batches that hold the same examples, and sparse tensors in a batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from adaptive_dropout.callbacks.meters.batches import KeptBatches
from adaptive_dropout.callbacks.meters.examples import distinct
from adaptive_dropout.callbacks.meters.window import cut

pytestmark = pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta state")
LAYOUTS = [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc]
ORDER = torch.tensor([2, 0, 3, 1])


def features(rows: int = 4) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(rows, 6) * (torch.rand(rows, 6) < 0.5)


def batch(order: Tensor, kind: torch.dtype = torch.float32) -> dict[str, Any]:
    x = features().to(kind)
    return {"x": x[order], "y": torch.arange(4)[order], "names": [f"example {i}" for i in order.tolist()], "scale": 2.0}


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.int8, torch.bool, torch.complex64])
def test_the_same_examples_in_another_order_are_dropped(kind: torch.dtype) -> None:
    first = batch(torch.arange(4), kind)
    assert distinct([first, batch(ORDER, kind), batch(torch.arange(4), kind)]) == [first]


@pytest.mark.parametrize("width", [1, 2, 3, 8])
@pytest.mark.parametrize("start", [0, 1])
def test_a_part_of_larger_memory_is_compared_by_its_examples(width: int, start: int) -> None:
    x = torch.arange(7.0 * width + 1)[start : start + 7 * width].reshape(7, width)
    assert len(distinct([x, torch.arange(start, start + 7.0 * width).reshape(7, width).flip(0)])) == 1
    assert len(distinct([x, x + 1])) == 2


def test_the_same_parts_put_together_in_another_way_are_other_examples() -> None:
    first, second = batch(torch.arange(4)), batch(torch.arange(4))
    second["y"] = second["y"][ORDER]
    assert len(distinct([first, second])) == 2


@pytest.mark.parametrize(
    ("name", "other"), [("x", features() + 1), ("names", list("abcd")), ("scale", 3.0), ("z", 1.0)]
)
def test_another_content_is_kept(name: str, other: Any) -> None:
    assert len(distinct([batch(ORDER), batch(ORDER) | {name: other}])) == 2


def test_a_tensor_of_another_length_has_to_be_the_same_in_its_own_order() -> None:
    def of(weights: Tensor) -> tuple[Tensor, Tensor]:
        return features(), weights

    assert len(distinct([of(torch.tensor([1.0, 2.0])), of(torch.tensor([1.0, 2.0]))])) == 1
    assert len(distinct([of(torch.tensor([1.0, 2.0])), of(torch.tensor([2.0, 1.0]))])) == 2


def test_batches_without_tensors_or_lists_are_all_kept() -> None:
    assert len(distinct([object(), object()])) == 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sparse_examples_are_compared_too(layout: torch.layout) -> None:
    def of(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.to_sparse(layout=layout), torch.zeros(4)

    assert len(distinct([of(features()), of(features()), of(features()[ORDER])])) == 1
    assert len(distinct([of(features()), of(2 * features())])) == 2


@pytest.mark.parametrize("layout", [*LAYOUTS, torch.sparse_bsr, torch.sparse_bsc])
def test_a_sparse_tensor_is_kept_as_a_copy(layout: torch.layout) -> None:
    dense, size = features(), (2, 2) if layout in (torch.sparse_bsr, torch.sparse_bsc) else None
    given = {"graph": [dense.to_sparse(layout=layout, blocksize=size)], "y": torch.arange(4)}
    kept = KeptBatches(1)
    kept.offer(given)
    copied = kept.batches[0]["graph"][0]
    given["graph"][0].values().zero_() if layout != torch.sparse_coo else given["graph"][0]._values().zero_()
    assert copied.layout == layout
    assert torch.equal(copied.to_dense(), dense)
    assert kept.size == 4


def test_a_sparse_tensor_in_an_object_is_copied_with_it() -> None:
    class Graph:
        def __init__(self) -> None:
            self.adjacency = features().to_sparse_csr()
            self.itself = self

    kept, graph = KeptBatches(1), Graph()
    kept.offer(graph)
    graph.adjacency.values().zero_()
    assert torch.equal(kept.batches[0].adjacency.to_dense(), features())
    assert kept.batches[0].itself is kept.batches[0]


def test_what_is_kept_counts_by_what_a_sparse_tensor_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adaptive_dropout.callbacks.meters.batches.MOST_BYTES", 1000.0)
    kept = KeptBatches(9)
    for _ in range(9):
        kept.offer(torch.eye(10).to_sparse_csr())  # 10 numbers, 10 columns and 11 places of rows: 208 bytes
    assert len(kept.batches) == 5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_examples_of_a_sparse_tensor_are_cut_out(layout: torch.layout) -> None:
    piece = cut({"x": features().to_sparse(layout=layout)}, 4, 1, 3)["x"]
    assert piece.layout == layout
    assert torch.equal(piece.to_dense(), features()[1:3])


def test_objects_are_known_by_their_attributes() -> None:
    class Graph:
        def __init__(self, scale: float) -> None:
            self.x = scale * features()
            self.edges = torch.tensor([[0, 1, 2], [1, 2, 3]])
            self.itself = self

    first = Graph(1.0)
    assert distinct([first, Graph(2.0)])[0] is first
    assert len(distinct([first, Graph(2.0)])) == 2
    assert len(distinct([Plain(1.0), Plain(1.0), Plain(2.0)])) == 2


class Plain:
    """A batch as an object."""

    def __init__(self, scale: float) -> None:
        self.store = {"x": scale * features(), "edges": torch.tensor([[0, 1, 2], [1, 2, 3]])}


@pytest.mark.parametrize(
    "odd",
    [
        torch.empty(0, 3),
        torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        torch.ones(2).numpy(),
        [],
        None,
    ],
    ids=["empty", "nested", "array", "no list", "none"],
)
def test_odd_values_are_compared_without_an_error(odd: Any) -> None:
    assert len(distinct([(features(), odd), (2 * features(), odd)])) == 2
    assert len(distinct([odd, odd])) in (1, 2)
    kept = KeptBatches(1)
    kept.offer((features(), odd))
    assert len(kept.batches) == 1
