"""Clocks, CUDA graphs, peak memory and counts of kernels, on a GPU or, for a dry run, on a CPU."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.run import Run, explain
from benchmarks.speed.timing import Call, Clock, cpu_clock, interleaved

__all__ = ["as_graph", "clock_of", "compare", "count_kernels", "event_clock", "keep_running", "peak_megabytes"]

WARM_UPS = 3  # before a graph is captured, as the documentation of torch.cuda.CUDAGraph asks


def event_clock(call: Call, repeats: int) -> float:
    """Return the seconds of one of ``repeats`` calls in a row, by CUDA's events, behind one that does not count.

    Nothing else is queued, so the time of the host counts wherever the device waits for it.
    """
    call()
    torch.cuda.synchronize()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1000 / repeats


def clock_of(run: Run) -> Clock:
    """Return the clock of the device."""
    return event_clock if run.on_gpu else cpu_clock


def compare(calls: Mapping[str, Call], clock: Clock, repeats: int, seconds: float) -> dict[str, float]:
    """Return the median seconds of each call over rounds in random order."""
    return {name: statistics.median(times) for name, times in interleaved(calls, clock, repeats, seconds).items()}


def keep_running(calls: Mapping[str, Call]) -> tuple[dict[str, Call], dict[str, str]]:
    """Return the calls that can run, and for the others the reason, by name."""
    reasons = {name: _try(call) for name, call in calls.items()}
    running = {name: call for name, call in calls.items() if not reasons[name]}
    return running, {name: why for name, why in reasons.items() if why}


def as_graph(call: Call, repeats: int) -> Call:
    """Capture ``repeats`` of ``call`` in one CUDA graph; return what replays it."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UPS):
            call()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(repeats):
            call()
    replay: Callable[[], object] = graph.replay
    return replay


def peak_megabytes(call: Call) -> float:
    """Return how many MB a call on the GPU needs at most beside what was allocated before."""
    call()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def count_kernels(call: Call, run: Run, calls: int = 10) -> dict[str, float]:
    """Return how many device kernels, launches and aten operations one call takes, by `torch.profiler`."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if run.on_gpu else [])]
    for _ in range(WARM_UPS):
        call()
    with profile(activities=activities) as profiled:
        for _ in range(calls):
            call()
        if run.on_gpu:
            torch.cuda.synchronize()
    events: list[Any] = list(profiled.events() or ())
    on_host = [event.name for event in events if event.device_type == DeviceType.CPU]
    counts = {"aten operations": sum(name.startswith("aten::") for name in on_host)}
    if run.on_gpu:
        counts["kernels"] = sum(event.device_type == DeviceType.CUDA for event in events)
        counts["launches"] = sum("LaunchKernel" in name for name in on_host)  # cuda..., and cu... from Triton
    return {name: count / calls for name, count in counts.items()}


def _try(call: Call) -> str:
    try:
        call()
    except Exception as error:  # no kernel for a dtype, no memory, or a compiler that fails: the others go on
        return explain(error)
    return ""
