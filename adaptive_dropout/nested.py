"""Copies of tensors in nested dicts, lists and tuples, written into the memory of an older copy where it fits.

Models may be validated in inference mode, and later training steps may not write to a tensor made in it. So copies are
made outside of it, and each tensor is written to in the mode in which it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

__all__ = ["fits", "map_tensors", "new_copy", "refill", "write"]


def map_tensors(copy: Callable[[Tensor, Any], Tensor], value: Any, into: Any = None) -> Any:
    """Return ``value`` with each tensor in it replaced by ``copy(tensor, its counterpart in into, or None)``.

    Raises:
        TypeError: ``value`` holds something besides tensors, numbers, strings, None, dicts, lists and tuples.
    """
    if isinstance(value, Tensor):
        return copy(value, into)
    if isinstance(value, dict):
        by_key = into if isinstance(into, dict) else {}
        return {key: map_tensors(copy, item, by_key.get(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        parts = into[: len(value)] if isinstance(into, (list, tuple)) else ()
        items = [map_tensors(copy, item, part) for item, part in zip_longest(value, parts)]
        return items if isinstance(value, list) else tuple(items)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"only tensors, numbers, strings, None, dicts, lists and tuples are copied, but got {value!r}")


def fits(tensor: Tensor, into: Any) -> bool:
    """Return whether ``into`` is a tensor that can hold ``tensor`` exactly."""
    return isinstance(into, Tensor) and into.shape == tensor.shape and into.dtype == tensor.dtype


def write(tensor: Tensor, into: Tensor) -> None:
    """Copy the values of ``tensor`` to ``into``, in place; they may be on different devices."""
    with torch.inference_mode(into.is_inference()), torch.no_grad():
        into.copy_(tensor)


def new_copy(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a copy of ``tensor`` on ``device`` that shares nothing with it."""
    with torch.inference_mode(False), torch.no_grad():
        return tensor.detach().to(device, copy=True)


def refill(tensor: Tensor, into: Any) -> Tensor:
    """Return the older copy ``into``, updated; or a new copy if ``into`` does not fit or is on another device."""
    if fits(tensor, into) and into.device == tensor.device:
        write(tensor, into)
        return into  # type: ignore[no-any-return]  # fits() has checked it
    return new_copy(tensor, tensor.device)
