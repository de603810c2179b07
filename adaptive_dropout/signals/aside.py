"""Evaluating a model aside from its training: what is changed for a measurement is put back after it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from adaptive_dropout.nested import new_copy, write

__all__ = ["eager", "evaluating", "replaced", "unchanged", "with_gradient"]


@contextmanager
def replaced(module: nn.Module, **attributes: Any) -> Iterator[None]:
    """Give ``module`` other attributes for a while."""
    before = {name: module.__dict__[name] for name in attributes if name in module.__dict__}
    module.__dict__.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del module.__dict__[name]
        module.__dict__.update(before)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put all of ``model`` into eval mode for a while; parts that were in eval mode stay there after it."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def with_gradient(loss: Tensor) -> Tensor:
    """Return ``loss``, of validation, if it can be differentiated, else raise a ValueError."""
    if not loss.requires_grad:
        raise ValueError("the validation loss has no gradient; it has to be the loss itself, not loss.item()")
    return loss


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put back, after a while, the buffers of ``model``, as of BatchNorm, and torch's generators.

    What a forward pass does to other attributes of the model, or outside it, is not undone.
    """
    places = [(module._buffers, name) for module in model.modules() for name in module._buffers]
    kept = [(place, name, b, new_copy(b, b.device)) for place, name in places if (b := place[name]) is not None]
    devices = {tensor.device.index or 0 for tensor in model.parameters() if tensor.device.type == "cuda"}
    with torch.random.fork_rng(sorted(devices)):
        try:
            yield
        finally:
            for place, name, buffer, copy in kept:
                write(copy, buffer)
                place[name] = buffer


@contextmanager
def eager() -> Iterator[None]:
    """Let compiled models run uncompiled for a while: what is changed inside would compile them anew, twice."""
    if "torch._dynamo" not in sys.modules:  # then nothing is compiled, and importing it takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
