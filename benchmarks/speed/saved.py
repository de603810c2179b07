"""What a layer keeps from its forward to its backward pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["saved_bytes"]


def saved_bytes(layer: nn.Module, x: Tensor) -> float:
    """Return the bytes for each element of ``x`` that the graph holds after the forward pass, when they are the most.

    Input and output are left out: the layers before and behind mostly keep these themselves.
    """
    saved: dict[int, int] = {}
    held: list[Tensor] = []  # what is freed on the way could leave its address to another

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        held.append(tensor.detach())
        return tensor

    leaf = x.detach().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        y = layer(leaf)
    saved.pop(leaf.untyped_storage().data_ptr(), None)
    saved.pop(y.untyped_storage().data_ptr(), None)
    return sum(saved.values()) / x.numel()
