"""Attention with dropout: torch's with p as a number, ours fused and written out; forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn import functional as F

from adaptive_dropout.functional import dropout, scaled_dot_product_attention
from benchmarks.gpu.run import Measured, Run, explain, skip
from benchmarks.gpu.timing import clock_of, compare, keep_running, peak_megabytes
from benchmarks.speed.timing import Call

__all__ = ["measure", "written_out"]

P = 0.1
SIZES = ((64, 6, 256, 64), (16, 12, 1024, 64), (4, 16, 4096, 64))  # batch, heads, time, channels
QUICK_SIZES = ((2, 2, 16, 8),)
SECONDS = 1.5
CHANGES = 20
TORCH = "torch's, p = 0.1"


class Inputs(NamedTuple):
    """What attention takes, and the gradient of its result."""

    query: Tensor
    key: Tensor
    value: Tensor
    gradient: Tensor


def measure(run: Run) -> Iterator[Measured]:
    """Yield ms and peak MB of each way at each size, and both over those of torch's attention with dropout."""
    for size in run.choose(SIZES, QUICK_SIZES):
        shown = " x ".join(map(str, size))
        if run.late():
            yield skip(TORCH, "bf16, causal", shown, "ms", "the time was up")
            continue
        torch.manual_seed(0)
        tensors = [torch.randn(size, device=run.device, dtype=torch.bfloat16) for _ in range(4)]
        inputs = Inputs(*(x.requires_grad_() for x in tensors[:3]), tensors[3])
        yield from _at_one_size(inputs, shown, run)
    try:
        yield _count_graphs(run)
    except Exception as error:
        yield skip("ours fused, compiled", "bf16, causal", "", "graphs", explain(error))


def written_out(query: Tensor, key: Tensor, value: Tensor, p: Tensor) -> Tensor:
    """Return causal attention with the weights in memory, and dropout on them."""
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return dropout(scores.masked_fill(future, -torch.inf).softmax(-1), p) @ value


def _at_one_size(inputs: Inputs, size: str, run: Run) -> Iterator[Measured]:
    calls, reasons = keep_running({name: _both(way, inputs) for name, way in _ways(inputs, run).items()})
    for name, why in reasons.items():
        yield skip(name, "bf16, causal", size, "ms", why)
    seconds = compare(calls, clock_of(run), run.choose(3, 1), run.choose(SECONDS, 0.0))
    peaks = {name: peak_megabytes(call) for name, call in calls.items()} if run.on_gpu else {}
    for name, taken in seconds.items():
        yield Measured(name, "bf16, causal", size, "ms", 1e3 * taken)
        yield Measured(name, "bf16, causal", size, "x torch", taken / seconds[TORCH])
    for name, peak in peaks.items():
        yield Measured(name, "bf16, causal", size, "peak MB", peak)
        yield Measured(name, "bf16, causal", size, "x torch's MB", peak / peaks[TORCH])


def _ways(inputs: Inputs, run: Run) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    on_cpu, on_device = torch.tensor(P), torch.tensor(P, device=run.device)
    compiled = torch.compile(_fused, backend=run.backend)
    return {
        TORCH: lambda q, k, v: F.scaled_dot_product_attention(q, k, v, dropout_p=P, is_causal=True),
        "torch's, p = 0": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        "ours fused": lambda q, k, v: _fused(q, k, v, on_cpu),
        "ours fused, compiled": lambda q, k, v: compiled(q, k, v, on_cpu),
        "ours written out": lambda q, k, v: written_out(q, k, v, on_device),
    }


def _fused(query: Tensor, key: Tensor, value: Tensor, p: Tensor) -> Tensor:
    return scaled_dot_product_attention(query, key, value, p, is_causal=True)


def _both(way: Callable[[Tensor, Tensor, Tensor], Tensor], inputs: Inputs) -> Call:
    query, key, value, gradient = inputs
    return lambda: torch.autograd.grad(way(query, key, value), (query, key, value), gradient)


def _count_graphs(run: Run) -> Measured:
    """Count the graphs of compiled attention while p takes 20 values."""
    torch._dynamo.reset()
    counters.clear()
    compiled, p = torch.compile(_fused, backend=run.backend), torch.tensor(0.0)
    tensors = [torch.randn(2, 2, 128, 64, device=run.device, dtype=torch.bfloat16) for _ in range(3)]
    for step in range(CHANGES):
        p.fill_((step + 1) / 25)
        compiled(*tensors, p)
    return Measured("ours fused, compiled", f"{CHANGES} values of p", "", "graphs", counters["stats"]["unique_graphs"])
