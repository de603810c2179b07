"""Forward and backward passes beside a copy and `nn.Dropout`: eager, compiled, and as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.gpu.cases import TIMED, AddedByTorch, P
from benchmarks.gpu.run import Measured, Run, skip
from benchmarks.gpu.timing import as_graph, clock_of, compare, event_clock, keep_running
from benchmarks.speed.timing import PASSES, Call, copy

__all__ = ["measure", "repeats_for", "shape_of", "yield_ratios"]

SIZES = tuple(1 << n for n in (16, 20, 22, 24, 26, 28))
QUICK_SIZES = (1 << 12, 1 << 14)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
AT_ONCE, FEWEST, MOST = 1 << 28, 2, 50  # elements of a turn, and calls
GRAPHED = 1 << 24  # elements: above, the host waits for the device anyway
SECONDS = 0.3  # for one setting and size, or 4 rounds
REPLAYS = 3

COPY, TORCH, TORCH_ADDED = "copy", "nn.Dropout", "nn.Dropout, then +"
THEIRS: dict[str, Callable[[], nn.Module]] = {TORCH: lambda: nn.Dropout(P), TORCH_ADDED: AddedByTorch}
BESIDE = {"dropout_add": TORCH_ADDED}  # the others beside nn.Dropout
COPIES = {  # as much memory as the passes have to read and write at least
    "forward": {"dropout_add": 1.5, TORCH_ADDED: 1.5},
    "forward+backward": {"dropout_add": 2.5, TORCH_ADDED: 2.5, "ConcreteDropout": 2.5},
}
EVERY = {"forward": 1.0, "forward+backward": 2.0}


def measure(run: Run) -> Iterator[Measured]:
    """Yield microseconds, times `nn.Dropout` and the share of the copy bandwidth, the eager ones first."""
    sizes = run.choose(SIZES, QUICK_SIZES)
    torch._dynamo.config.recompile_limit = 64  # all layers share the code of nn.Module's call
    for mode, dtype, what in _settings(run):
        setting = f"{mode}, {dtype}, {what}"
        layers = {name: _make(new, mode, run) for name, new in (THEIRS | TIMED).items()}
        for size in sizes:
            if mode == "graph" and size > GRAPHED:
                continue
            if run.late():
                yield skip("Dropout", setting, f"{size:,}", "us", "the time was up")
                continue
            x = torch.randn(shape_of(size), device=run.device, dtype=DTYPES[dtype])
            calls = {COPY: copy(x)} | {name: PASSES[what](layer, x) for name, layer in layers.items()}
            calls, reasons = keep_running(calls)
            for name, why in reasons.items():
                yield skip(name, setting, f"{size:,}", "us", why)
            seconds = _time(calls, mode, size, run)
            yield from yield_ratios(seconds, what, setting, f"{size:,}")
            del x, calls


def yield_ratios(seconds: dict[str, float], what: str, setting: str, size: str) -> Iterator[Measured]:
    """Yield each contender's time, over that of torch's, and the share of the copy bandwidth that it reaches."""
    for name, taken in seconds.items():
        yield Measured(name, setting, size, "us", 1e6 * taken)
        beside = BESIDE.get(name, TORCH)
        if beside in seconds and name != COPY:
            yield Measured(name, setting, size, "x torch", taken / seconds[beside])
        if COPY in seconds and name != COPY:
            copies = COPIES[what].get(name, EVERY[what])
            yield Measured(name, setting, size, "of copy", copies * seconds[COPY] / taken)


def shape_of(elements: int) -> tuple[int, int, int, int]:
    """Return a shape (batch, channels, height, width) that every layer takes, for a multiple of 4096."""
    return elements // 4096, 16, 16, 16


def repeats_for(elements: int, run: Run) -> int:
    """Return how many calls are a turn: about a thousandth of a second on a large GPU."""
    return run.choose(max(min(AT_ONCE // elements, MOST), FEWEST), FEWEST)


class Compiled(nn.Module):
    """A compiled layer whose batch may change without another compilation."""

    def __init__(self, layer: nn.Module, backend: str) -> None:
        super().__init__()
        self.layer = layer
        self.call = torch.compile(layer, backend=backend)

    def forward(self, x: Tensor) -> Tensor:
        """Return the noisy ``x``."""
        torch._dynamo.maybe_mark_dynamic(x, 0)  # not dynamic=True, which makes variables of Python's numbers too
        return self.call(x)


def _settings(run: Run) -> Iterator[tuple[str, str, str]]:
    for mode in ("eager", "graph", "compiled"):
        for dtype in DTYPES:
            for what in PASSES:
                # A compilation takes seconds, so there is none of a forward pass alone.
                if (mode != "graph" or run.on_gpu) and (mode != "compiled" or what != "forward"):
                    yield mode, dtype, what


def _make(new: Callable[[], nn.Module], mode: str, run: Run) -> nn.Module:
    layer = new().to(run.device).train()
    return Compiled(layer, run.backend) if mode == "compiled" else layer


def _time(calls: dict[str, Call], mode: str, size: int, run: Run) -> dict[str, float]:
    repeats, seconds = repeats_for(size, run), run.choose(SECONDS, 0.0)
    if mode != "graph":
        return compare(calls, clock_of(run), repeats, seconds)
    graphs = {name: as_graph(call, repeats) for name, call in calls.items()}
    return {name: taken / repeats for name, taken in compare(graphs, event_clock, REPLAYS, seconds).items()}
