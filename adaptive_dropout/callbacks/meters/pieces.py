"""Pieces of batches of any structure: the first examples of it, or others."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map

from adaptive_dropout.nested import new_copy

__all__ = ["cut"]


def cut(batch: Any, size: int, start: int, end: int) -> Any:
    """Return a copy of the examples from ``start`` to ``end`` of a ``batch`` of ``size``.

    Every tensor in it of that length is cut; what is no such tensor is for all examples. The copies may be trained on,
    also those of a batch that was loaded in inference mode.
    """

    def piece(leaf: Any) -> Any:
        if isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == size:
            return new_copy(leaf[start:end], leaf.device)
        return leaf

    return tree_map(piece, batch)
