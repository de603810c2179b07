"""The work of the host for a tensor so small that nothing else counts, and how many kernels a layer starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from benchmarks.gpu.cases import TIMED, AddedByTorch, P
from benchmarks.gpu.run import Measured, Run, skip
from benchmarks.gpu.timing import compare, count_kernels, keep_running
from benchmarks.speed.timing import PASSES, Call, cpu_clock

__all__ = ["measure"]

SHAPE = (1, 4, 4, 4)
CALLS = 100  # in a row: far fewer than the queue of a GPU takes, so that the host does not wait
SECONDS = 1.5
TORCH = "nn.Dropout"
THEIRS: dict[str, Callable[[], nn.Module]] = {TORCH: lambda: nn.Dropout(P), "nn.Dropout, then +": AddedByTorch}


def measure(run: Run) -> Iterator[Measured]:
    """Yield for each layer the host's microseconds, times `nn.Dropout`, and counts of kernels, of either pass."""
    x = torch.randn(SHAPE, device=run.device)
    layers = {name: new().to(run.device).train() for name, new in (THEIRS | TIMED).items()}
    for what in PASSES:
        calls, reasons = keep_running({name: PASSES[what](layer, x) for name, layer in layers.items()})
        for name, why in reasons.items():
            yield skip(name, what, "", "host us", why)
        seconds = compare(calls, _host_clock, run.choose(CALLS, 5), run.choose(SECONDS, 0.0))
        for name, taken in seconds.items():
            yield Measured(name, what, "", "host us", 1e6 * taken)
            yield Measured(name, what, "", "x torch", taken / seconds[TORCH])
        for name, call in calls.items():
            if run.late():
                yield skip(name, what, "", "kernels", "the time was up")
                continue
            counts = count_kernels(call, run)
            if run.on_gpu and not counts["kernels"]:  # it may not be allowed to look
                yield skip(name, what, "", "kernels", "the profiler saw none")
                continue
            for quantity, count in counts.items():
                yield Measured(name, what, "", quantity, count)


def _host_clock(call: Call, repeats: int) -> float:
    """Return the seconds of the host for one of ``repeats`` calls, which begin with nothing queued."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return cpu_clock(call, repeats)
