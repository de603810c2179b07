"""CUDA's functions as the benchmark calls them, on a machine without a GPU: the code around them runs, on the CPU."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from benchmarks.gpu.run import Run

__all__ = ["OnPretendedGpu", "pretend"]


class OnPretendedGpu(Run):
    """A run on the CPU that takes the ways of a GPU."""

    @property
    def on_gpu(self) -> bool:
        return True


class Event:
    """An event 6 ms after the one before it."""

    times = itertools.count(0, 6)

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.time = next(self.times)

    def synchronize(self) -> None:
        """There is nothing to wait for."""

    def elapsed_time(self, other: Event) -> float:
        return float(other.time - self.time)


class Graph:
    """A graph that replays nothing."""

    def replay(self) -> None:
        """Nothing was captured."""


class Stream:
    def wait_stream(self, other: Stream) -> None:
        """There is nothing to wait for."""


def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def enter(_: Any) -> Iterator[None]:
        yield

    for name, stub in {"Event": Event, "CUDAGraph": Graph, "Stream": Stream, "graph": enter, "stream": enter}.items():
        monkeypatch.setattr(torch.cuda, name, stub)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    for name in ("synchronize", "reset_peak_memory_stats", "set_sync_debug_mode"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 2**20)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**21)
