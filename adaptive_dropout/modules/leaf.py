"""What `torch.fx` sees of the layers here: one call of the layer, as of torch's own, and nothing of what it does."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.fx import Proxy

__all__ = ["Proxy", "recorded"]


def recorded(layer: nn.Module, input: Proxy) -> Any:
    """Return what stands in a graph for the output of ``layer``.

    The graph holds the layer itself, so that it follows its rate and its training mode.
    """
    path = input.tracer.path_of_module(layer)  # type: ignore[attr-defined]  # every tracer of modules has it
    return input.tracer.create_proxy("call_module", path, (input,), {})
