"""Copies of tensors in nested dicts, lists and tuples, written into the memory of an older copy where it fits.

A tensor made in inference mode, in which a model may be validated, is one that no later training step may write to. So
copies are made outside it, and each tensor is written to in the mode that it was made in.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

__all__ = ["fits", "mapped", "new_copy", "refilled", "write"]


def mapped(copy: Callable[[Tensor, Any], Tensor], value: Any, into: Any = None) -> Any:
    """Return ``value`` with ``copy(tensor, its counterpart in into, or None)`` for each tensor in it.

    Raises:
        TypeError: there is something in it besides tensors, numbers, strings, None, dicts, lists and tuples.
    """
    if isinstance(value, Tensor):
        return copy(value, into)
    if isinstance(value, dict):
        by_key = into if isinstance(into, dict) else {}
        return {key: mapped(copy, item, by_key.get(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        parts = into[: len(value)] if isinstance(into, (list, tuple)) else ()
        items = [mapped(copy, item, part) for item, part in zip_longest(value, parts)]
        return items if isinstance(value, list) else tuple(items)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"only tensors, numbers, strings, None, dicts, lists and tuples are copied, but got {value!r}")


def fits(tensor: Tensor, into: Any) -> bool:
    """Tell whether ``into`` is a tensor that can hold ``tensor`` exactly."""
    return isinstance(into, Tensor) and into.shape == tensor.shape and into.dtype == tensor.dtype


def write(tensor: Tensor, into: Tensor) -> None:
    """Put the values of ``tensor`` into ``into``, which stays the object it is, wherever the two are."""
    with torch.inference_mode(into.is_inference()), torch.no_grad():
        into.copy_(tensor)


def new_copy(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a copy of ``tensor`` on ``device`` that shares nothing with it."""
    with torch.inference_mode(False), torch.no_grad():
        return tensor.detach().to(device, copy=True)


def refilled(tensor: Tensor, into: Any) -> Tensor:
    """Return the copy ``into``, brought up to date; a new one where ``into`` does not fit or is on another device."""
    if fits(tensor, into) and into.device == tensor.device:
        write(tensor, into)
        return into  # type: ignore[no-any-return]  # fits() says what it is
    return new_copy(tensor, tensor.device)
