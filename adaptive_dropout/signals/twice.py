"""Second derivatives: the kernels that have them, and what has none and would silently count as constant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["differentiable_twice", "grad", "grad_of_grad"]


def _backward(ctx: Any) -> None: ...


# The wrapper that once_differentiable puts around a backward function has this code, whatever it wraps.
ONCE = once_differentiable(_backward).__code__


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
    """Return d <g, v> / d input for each of ``inputs``, g the gradient of ``loss`` by ``weights`` and v ``along``.

    Raises:
        RuntimeError: something cannot be differentiated twice.
    """
    if once := _once_differentiable(loss):
        raise RuntimeError(f"{once} is marked with @once_differentiable")
    gradients = grad(loss, weights, create_graph=True)
    products = [(g * v).sum() for g, v in zip(gradients, along, strict=True) if g is not None]
    agreement = torch.stack(products).sum()
    return grad(agreement, inputs) if agreement.requires_grad else (None,) * len(inputs)


def _once_differentiable(loss: Tensor) -> str | None:
    """Return the name of a function behind ``loss`` that has a first derivative only.

    torch raises only if the path to the inputs runs through it, and otherwise leaves out what depends on it.
    """
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        function = getattr(node, "_forward_cls", None)
        if getattr(getattr(function, "backward", None), "__code__", None) is ONCE:
            return str(getattr(function, "__name__", function))
        waiting += [following for following, _ in node.next_functions]
    return None
