"""Times that can be compared: in each round every contender runs once, and then the medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

__all__ = ["backward_and_forward", "forward", "interleaved"]


def forward(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    """Return a call that draws the noise once, without a graph."""

    def call() -> None:
        with torch.no_grad():
            layer(x)

    return call


def backward_and_forward(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    """Return a call that draws the noise once and takes the gradient of all inputs."""
    inputs = [x.requires_grad_(), *layer.parameters()]
    gradient = torch.randn_like(x)
    return lambda: torch.autograd.grad(layer(x), inputs, gradient)


def interleaved(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each call over ``rounds``, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}
