"""Attention with dropout on its weights, beside torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import adaptive_dropout as ad
from adaptive_dropout.functional import attention, scaled_dot_product_attention

MASKS = {
    "none": None,
    "causal": torch.ones(6, 6, dtype=torch.bool).tril(),
    "added": torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(1)),
}


def inputs(*batch: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (torch.randn(*batch, 6, 4) for _ in range(3))
    return q, k, v


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_without_dropout_it_is_torchs(name: str, dtype: torch.dtype) -> None:
    q, k, v = (x.to(dtype) for x in inputs(2, 3))
    mask = MASKS[name]
    if mask is not None and mask.dtype is not torch.bool:
        mask = mask.to(dtype)
    ours = scaled_dot_product_attention(q, k, v, 0.0, mask)
    assert ours.dtype is dtype
    tolerance = {"atol": 0.02, "rtol": 0.02} if dtype is torch.bfloat16 else {}
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(q, k, v, attn_mask=mask), **tolerance)


@pytest.mark.parametrize("name", MASKS)
def test_its_mean_and_its_variance_are_those_of_torchs(name: str) -> None:
    n, p = 20_000, 0.3
    q, k, v = (x.expand(n, *x.shape[1:]) for x in inputs(1, 1))
    mask = MASKS[name]
    mask = mask[:1] if mask is not None and mask.dim() == 4 else mask
    ours = scaled_dot_product_attention(q, k, v, p, mask)
    weights = F.scaled_dot_product_attention(q[:1], k[:1], torch.eye(6).expand(1, 1, 6, 6), attn_mask=mask)
    mean, variance = weights @ v[:1], weights.square() @ v[:1].square() * p / (1 - p)
    torchs = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
    for drawn in (ours, torchs):
        assert ((drawn.mean(0, keepdim=True) - mean).abs() <= 5 * (variance / n).sqrt() + 1e-6).all()
        squares = (drawn - mean).square()
        error = squares.std(0, keepdim=True) / n**0.5
        assert ((squares.mean(0, keepdim=True) - variance).abs() <= 5 * error + 1e-6).all()


def test_a_weight_is_dropped_as_often_as_set_and_each_head_can_have_its_own_p() -> None:
    q, k, _ = inputs(4000, 2)
    p = torch.tensor([0.1, 0.6]).view(2, 1, 1)
    dropped = (scaled_dot_product_attention(q, k, torch.eye(6).expand(4000, 2, 6, 6), p) == 0).float()
    error = (p * (1 - p) / (4000 * 36)).sqrt()
    assert ((dropped.mean((0, 2, 3)) - p.flatten()).abs() <= 5 * error.flatten()).all()


def test_its_gradients_are_those_of_the_weights_that_stay() -> None:
    q, k, v = (x.double().requires_grad_() for x in inputs(1, 1))

    def attend(*given: Tensor) -> Tensor:
        torch.manual_seed(0)
        return scaled_dot_product_attention(*given, torch.tensor(0.4))

    assert torch.autograd.gradcheck(attend, (q, k, v))


@pytest.mark.slow
def test_compiled_it_is_one_graph_whatever_p_is_and_draws_the_same(short_noise: None) -> None:
    graphs: list[Any] = []
    rate = ad.SettableRate(0.1)
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda *x: scaled_dot_product_attention(*x, rate.value),
        backend=lambda graph, _: graphs.append(graph) or graph,
        fullgraph=True,
    )
    x = inputs(2, 2)
    for step in range(20):
        rate.set(step / 40)
        torch.manual_seed(step)
        y = compiled(*x)
        torch.manual_seed(step)
        torch.testing.assert_close(y, scaled_dot_product_attention(*x, rate.value))
    assert len(graphs) == 1


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fuse attention on a CPU, where the operator has a slow twin."""
    monkeypatch.setattr(attention, "FUSED", {"cpu"})
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.usefixtures("fused")
def test_where_it_is_fused_it_is_compiled_in_one_graph_while_its_rate_moves() -> None:
    rate, counter = ad.SettableRate(0.1), CompileCounterWithBackend("aot_eager")

    def twice(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(scaled_dot_product_attention(q, k, v, rate.kernel_value), k, v, 0.2)

    compiled, given = torch.compile(twice, backend=counter, fullgraph=True), [x.requires_grad_() for x in inputs(2, 2)]
    for p in (0.1, 0.0, 0.5, 0.9):
        rate.set(p)
        compiled(*given).sum().backward()
    assert counter.frame_count == 1
    assert len(calls_of_the_operator(counter)) == 1  # a p that is a number may be part of the graph


@pytest.mark.slow
@pytest.mark.usefixtures("fused")
def test_compiled_code_may_forbid_to_fuse() -> None:
    def attend(*x: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return scaled_dot_product_attention(*x, torch.tensor(0.3))

    counter = CompileCounterWithBackend("eager")
    torch.compile(attend, backend=counter, fullgraph=True)(*inputs(2, 2))
    assert calls_of_the_operator(counter) == []


def calls_of_the_operator(counter: CompileCounterWithBackend) -> list[Any]:
    operator = torch.ops.adaptive_dropout.attend.default
    return [node for graph in counter.graphs for node in graph.graph.nodes if node.target is operator]
