"""First and second derivatives of losses: kernels that have a second one, and an error where something has none.

Without that error, torch would silently leave out the part that cannot be differentiated twice.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["check_differentiable", "differentiable_twice", "grad", "grad_of_grad"]


def check_differentiable(loss: Tensor) -> Tensor:
    """Return the validation ``loss`` if it can be differentiated, else raise a ValueError."""
    if not loss.requires_grad:
        raise ValueError("the validation loss has no gradient; it has to be the loss itself, not loss.item()")
    return loss


@contextmanager
def differentiable_twice(model: nn.Module) -> Iterator[None]:
    """Choose kernels with a second derivative: neither fused attention nor cuDNN's recurrent networks have one."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        if not recurrent:
            yield
            return
        with torch.backends.cudnn.flags(enabled=False):
            yield


def grad(loss: Tensor, inputs: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor | None, ...]:
    """Return the gradient of ``loss`` by each of ``inputs``, None where it does not depend on it."""
    return torch.autograd.grad(loss, inputs, create_graph=create_graph, allow_unused=True)


def grad_of_grad(
    loss: Tensor, weights: Sequence[Tensor], along: Sequence[Tensor], inputs: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Return d <g, v> / d input for each of ``inputs``, where g is the gradient by ``weights`` and v is ``along``.

    Raises:
        RuntimeError: something cannot be differentiated twice.
    """
    check_detection()
    if name := _once_differentiable(loss):
        raise RuntimeError(f"{name} is marked with @once_differentiable")
    gradients = grad(loss, weights, create_graph=True)
    products = [(g * v).sum() for g, v in zip(gradients, along, strict=True) if g is not None]
    agreement = torch.stack(products).sum()
    return grad(agreement, inputs) if agreement.requires_grad else (None,) * len(inputs)


class _Once(torch.autograd.Function):
    """A function that is known to be marked with ``@once_differentiable``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def _once_differentiable(loss: Tensor) -> str | None:
    """Return the name of a function behind ``loss`` that has a first derivative only.

    torch raises only if the path to the inputs runs through it, and otherwise leaves out what depends on it. It sets no
    public mark: the wrapper that ``@once_differentiable`` puts around a backward function has the same code whatever
    it wraps, and the node of the graph leads to the function by a private attribute.
    """
    marked = getattr(_Once.backward, "__code__", None)
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        function = getattr(node, "_forward_cls", None)
        code = getattr(getattr(function, "backward", None), "__code__", None)
        if code is not None and code is marked:
            return str(getattr(function, "__name__", function))
        waiting += [following for following, _ in node.next_functions]
    return None


@functools.cache
def check_detection() -> None:
    """Raise a RuntimeError where `grad_of_grad` would not notice functions with a first derivative only.

    Derivatives would then be wrong without a word.
    """
    with torch.enable_grad():
        x = torch.zeros((), requires_grad=True)
        found = _once_differentiable(_Once.apply(x)), _once_differentiable(x.exp())
    if found != (_Once.__name__, None):
        raise RuntimeError(
            f"torch {torch.__version__} marks functions with @once_differentiable in a way that is not known here, so "
            "second derivatives could be silently wrong; use torch 2.8 to 2.14"
        )
