"""Sparse tensors among others: what torch does for strided tensors only, for all layouts.

torch 2.14 has neither ``nbytes`` nor slices for COO tensors, and can neither deep-copy nor slice compressed ones.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from adaptive_dropout.nested import new_copy

__all__ = ["COMPRESSED", "bytes_stored", "coordinates", "deep_copy", "is_sparse", "rows"]

COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
BLOCKS = (torch.sparse_bsr, torch.sparse_bsc)

V = TypeVar("V")


def is_sparse(tensor: Tensor) -> bool:
    """Tell whether ``tensor`` stores the places of its numbers; `Tensor.is_sparse` is True for COO only."""
    return tensor.layout == torch.sparse_coo or tensor.layout in COMPRESSED


def bytes_stored(tensor: Tensor) -> int:
    """Return the bytes that ``tensor`` keeps in memory: of a sparse one, those of its numbers and their places.

    >>> bytes_stored(torch.eye(10)), bytes_stored(torch.eye(10).to_sparse())
    (400, 200)
    """
    return sum(part.nbytes for part in _parts(tensor))


def coordinates(tensor: Tensor) -> Tensor:
    """Return a sparse tensor as a coalesced COO tensor: its numbers in the order of their places."""
    return tensor.to_sparse(layout=torch.sparse_coo).coalesce()


def rows(tensor: Tensor, start: int, end: int) -> Tensor:
    """Return ``tensor[start:end]``, a view where it is strided, of the same layout where it is sparse."""
    if not is_sparse(tensor):
        return tensor[start:end]
    found = coordinates(tensor).index_select(0, torch.arange(start, end, device=tensor.device))
    block = tuple(tensor.values().shape[-2:]) if tensor.layout in BLOCKS else None
    return found.to_sparse(layout=tensor.layout, blocksize=block)


def deep_copy(value: V) -> V:
    """Return ``copy.deepcopy(value)``, with the compressed sparse tensors in it.

    Raises:
        Exception: whatever ``copy.deepcopy`` raises.
    """
    memo: dict[int, Any] = {id(tensor): new_copy(tensor, tensor.device) for tensor in _compressed(value, {})}
    return copy.deepcopy(value, memo)


def _parts(tensor: Tensor) -> tuple[Tensor, ...]:
    if tensor.layout == torch.sparse_coo:
        return tensor._indices(), tensor._values()
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    if tensor.layout in COMPRESSED:
        return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
    return (tensor,)


def _compressed(value: Any, seen: dict[int, Any]) -> Iterator[Tensor]:
    """Yield the compressed tensors in nested containers, and in the attributes of objects."""
    if isinstance(value, Tensor):
        if value.layout in COMPRESSED:
            yield value
        return
    if id(value) in seen or isinstance(value, (str, bytes, int, float, type, type(None))):
        return
    seen[id(value)] = value
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple, set)) else ()
    for item in (*inside, *getattr(value, "__dict__", {}).values()):
        yield from _compressed(item, seen)
