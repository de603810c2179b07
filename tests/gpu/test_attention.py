"""Fused attention on a device: torch's values, our rates, no waiting, and memory in proportion to time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.functional import scaled_dot_product_attention
from adaptive_dropout.functional.fused_attention import attend
from adaptive_dropout.networks import GPT
from tests.gpu.waiting import forbid_waiting

# dtype, heads of keys, channels, what a query may see
CASES: list[tuple[torch.dtype, int, int, str]] = [
    (torch.bfloat16, 4, 64, "causal"),
    (torch.bfloat16, 2, 64, "causal"),
    (torch.float16, 4, 60, "all"),
    (torch.float32, 4, 64, "causal"),
    (torch.float32, 2, 32, "all"),
    (torch.bfloat16, 4, 64, "mask"),
    (torch.float32, 2, 60, "added"),
]
TIME = 130  # a multiple of nothing that the kernels like


def inputs(dtype: torch.dtype, key_heads: int, channels: int) -> list[Tensor]:
    heads = 4, key_heads, key_heads
    return [torch.randn(2, h, TIME, channels, device="cuda", dtype=dtype, requires_grad=True) for h in heads]


def mask_of(seen: str, dtype: torch.dtype) -> Tensor | None:
    if seen == "mask":
        return torch.ones(TIME, TIME, dtype=torch.bool, device="cuda").tril()
    return torch.randn(2, 1, TIME, TIME, device="cuda", dtype=dtype) if seen == "added" else None


@pytest.mark.parametrize(("dtype", "key_heads", "channels", "seen"), CASES)
def test_without_dropout_value_and_gradient_are_torchs(
    dtype: torch.dtype, key_heads: int, channels: int, seen: str
) -> None:
    given, mask = inputs(dtype, key_heads, channels), mask_of(seen, dtype)
    ours = attend(*given, torch.tensor(0.0), mask, seen == "causal", channels**-0.5)
    theirs = F.scaled_dot_product_attention(
        *given, attn_mask=mask, is_causal=seen == "causal", enable_gqa=key_heads != 4
    )
    tolerance: dict[str, float] = (
        {"atol": 1e-4, "rtol": 1e-4} if dtype is torch.float32 else {"atol": 0.03, "rtol": 0.03}
    )
    torch.testing.assert_close(ours, theirs, **tolerance)
    direction = torch.randn_like(theirs)
    gradients = [torch.autograd.grad(y, given, direction) for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, **tolerance)


@pytest.mark.parametrize(("dtype", "key_heads", "channels", "seen"), CASES)
def test_weights_are_dropped_as_often_as_set_and_the_gradient_has_the_same_mask(
    dtype: torch.dtype, key_heads: int, channels: int, seen: str
) -> None:
    p, time = 0.3, 64
    q, k, _ = (x.detach()[:, :, :time] for x in inputs(dtype, key_heads, 64))
    v = torch.eye(time, device="cuda", dtype=dtype).expand(2, key_heads, time, time).contiguous().requires_grad_()
    mask = mask_of(seen, dtype)
    mask = None if mask is None else mask[..., :time, :time]
    y = attend(q, k, v, torch.tensor(p), mask, seen == "causal", 0.125)
    full = attend(q, k, v, torch.tensor(0.0), mask, seen == "causal", 0.125)
    alive = full > 0
    dropped = (y[alive] == 0).double()
    assert abs(dropped.mean() - p) <= 5 * (p * (1 - p) / dropped.numel()) ** 0.5
    torch.testing.assert_close(y[y != 0], full[y != 0] / (1 - p), atol=0.03, rtol=0.03)
    # y = D v with v the identity: the gradient of v along g is D^T g, and y is D.
    direction = torch.randn_like(y)
    (gradient,) = torch.autograd.grad(y, v, direction)
    expected = y.detach().mT.double() @ direction.double()
    expected = expected.unflatten(1, (key_heads, -1)).sum(2)
    torch.testing.assert_close(gradient.double(), expected, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("p", [0.3, torch.tensor(0.3)])
def test_nothing_waits_for_the_device(p: Any) -> None:
    given, rate = inputs(torch.bfloat16, 4, 64), ad.SettableRate(0.3).cuda()
    with forbid_waiting():
        for some in (p, rate.value):
            scaled_dot_product_attention(*given, some, is_causal=True).sum().backward()
        attend(*given, torch.tensor(0.3), None, True, 0.125).sum().backward()


def test_compiled_gpt_is_one_graph_over_twenty_changes_of_its_rates() -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    model, counter = GPT(20, 64, layers=2).cuda(), CompileCounterWithBackend("inductor")
    compiled = torch.compile(model, backend=counter, fullgraph=True)
    tokens = torch.randint(20, (4, 64), device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        for step in range(20):
            ad.set_rates(model, dict.fromkeys(ad.get_rates(model), step / 25))
            compiled(tokens).float().square().mean().backward()
    assert counter.frame_count == 1
    operator = torch.ops.adaptive_dropout.attend.default
    assert sum(node.target is operator for node in counter.graphs[0].graph.nodes) == 2
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)


def test_memory_is_that_of_torchs() -> None:
    given = [torch.randn(4, 8, 2048, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    p = torch.tensor(0.1)

    def peak(attention: Any) -> int:
        torch.autograd.grad(attention().sum(), given)  # what is allocated once
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        torch.autograd.grad(attention().sum(), given)
        return torch.cuda.max_memory_allocated() - before

    theirs = peak(lambda: F.scaled_dot_product_attention(*given, dropout_p=0.1, is_causal=True))
    assert peak(lambda: scaled_dot_product_attention(*given, p, is_causal=True)) <= 1.3 * theirs
    assert peak(lambda: attend(*given, p, None, True, 0.125)) <= 1.3 * theirs


def test_a_captured_graph_follows_p() -> None:
    given, rate = [x.detach() for x in inputs(torch.float32, 4, 64)], ad.SettableRate(0.5).cuda()
    for _ in range(3):
        scaled_dot_product_attention(*given, rate.value)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = scaled_dot_product_attention(*given, rate.value)
    rate.set(1.0)
    graph.replay()
    assert y.count_nonzero() == 0
