"""From which size on our layer is as fast as torch's own kernel, which takes p as a Python number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

import adaptive_dropout as ad
from benchmarks.gpu.cases import P
from benchmarks.gpu.run import Measured, Run, skip
from benchmarks.gpu.times import DTYPES, repeats_for
from benchmarks.gpu.timing import clock_of, compare
from benchmarks.speed.timing import Call

__all__ = ["find_crossing", "measure"]

SIZES = tuple(1 << n for n in range(10, 27, 2))
SECONDS = 0.3


def measure(run: Run) -> Iterator[Measured]:
    """Yield the time of ours over that of `F.dropout`, forward and backward, and where it falls to 1 for good."""
    for name, dtype in DTYPES.items():
        ratios: dict[int, float] = {}
        for size in run.choose(SIZES, SIZES[:2]):
            if run.late():
                yield skip("ours over torch's", name, f"{size:,}", "x torch", "the time was up")
                return
            seconds = compare(_calls(size, dtype, run), clock_of(run), repeats_for(size, run), run.choose(SECONDS, 0.0))
            ratios[size] = seconds["ours"] / seconds["torch"]
            yield Measured("ours over torch's", name, f"{size:,}", "x torch", ratios[size])
        crossing = find_crossing(ratios)
        if crossing is None:
            yield skip("ours over torch's", name, "from", "elements", "never")
        else:
            yield Measured("ours over torch's", name, "from", "elements", crossing)


def find_crossing(ratios: Mapping[int, float]) -> int | None:
    """Return the size from which on no ratio is above 1; None if that of the largest is."""
    crossing = None
    for size in sorted(ratios, reverse=True):
        if ratios[size] > 1:
            break
        crossing = size
    return crossing


def _calls(size: int, dtype: torch.dtype, run: Run) -> dict[str, Call]:
    x = torch.randn(size, device=run.device, dtype=dtype, requires_grad=True)
    gradient = torch.randn_like(x)
    layer = ad.Dropout(P).to(run.device).train()

    def theirs() -> tuple[Tensor, ...]:
        return torch.autograd.grad(F.dropout(x, P, training=True), x, gradient)

    return {"torch": theirs, "ours": lambda: torch.autograd.grad(layer(x), x, gradient)}
