"""Times that can be compared: each round runs every contender once, in random order; medians over the rounds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

__all__ = ["PASSES", "Call", "Clock", "backward", "copy", "cpu_clock", "forward", "interleaved"]

Call = Callable[[], object]
Clock = Callable[[Call, int], float]

LEAST = 4  # rounds


def forward(layer: nn.Module, x: Tensor) -> Call:
    """Return a call that draws the noise once, without a graph."""

    def call() -> None:
        with torch.no_grad():
            layer(x)

    return call


def backward(layer: nn.Module, x: Tensor) -> Call:
    """Return a call that draws the noise once and takes the gradient of all inputs."""
    leaf = x.clone().requires_grad_()
    inputs = [leaf, *(parameter for parameter in layer.parameters() if parameter.requires_grad)]
    gradient = torch.randn_like(x)
    return lambda: torch.autograd.grad(layer(leaf), inputs, gradient)


PASSES: dict[str, Callable[[nn.Module, Tensor], Call]] = {"forward": forward, "forward+backward": backward}


def copy(x: Tensor) -> Call:
    """Return a call that reads ``x`` once and writes as much into memory that is there: the limit of a forward pass."""
    out = torch.empty_like(x)
    return lambda: out.copy_(x)


def cpu_clock(call: Call, repeats: int) -> float:
    """Return the seconds of one of ``repeats`` calls in a row, behind one that does not count.

    The first call finds the caches full of other contenders' data; its time shows how much Python a call has.
    """
    call()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def interleaved(calls: Mapping[str, Call], clock: Clock, repeats: int, seconds: float) -> dict[str, list[float]]:
    """Return the seconds of each call in each round; there are 4 rounds or more, and no new one after ``seconds``."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()  # not counted: it compiles, and lets the allocator grow
    order, shuffle = list(calls), random.Random(0).shuffle
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < LEAST or time.perf_counter() < end:
        shuffle(order)
        for name in order:
            taken[name].append(clock(calls[name], repeats))
        rounds += 1
    return taken
