"""The part of a forward pass before its first noise: it is the same for all samples, so it is computed once.

A pass is a series of calls of torch functions. The calls of the first pass are recorded up to the first result that
differs between samples. A later pass gets the recorded results as long as it makes the same calls with the very same
tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

__all__ = ["MISSING", "Prefix"]

MISSING = object()


class Prefix:
    """The calls of a pass before its first noise, and their results, which stay in memory.

    Args:
        recording: False if there is only one pass, so that nothing has to be kept.
    """

    def __init__(self, recording: bool) -> None:
        self.calls: list[tuple[Callable[..., Any], list[Any], Any]] = []
        self.versions: dict[int, tuple[Tensor, int]] = {}
        self.recording = recording
        self.place = 0

    def rewind(self) -> None:
        """Begin a pass. The record is forgotten if a tensor in it has been written to since."""
        if any(tensor._version != version for tensor, version in self.versions.values()):
            self.calls = []
        self.place = 0

    def look_up(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Return the result of this call if it is the next one recorded, else `MISSING` until the next pass."""
        if self.recording or self.place >= len(self.calls):
            return MISSING
        known, leaves, result = self.calls[self.place]
        if known is func and _same(leaves, tree_leaves((args, kwargs))):
            self.place += 1
            return result
        self.place = len(self.calls)
        return MISSING

    def add(self, func: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        """Record a call that is the same for all samples, while ``recording``."""
        if self.recording:
            self.calls.append((func, tree_leaves((args, kwargs)), result))

    def end(self) -> None:
        """Stop recording, because a result differs between samples."""
        if self.recording:
            self.recording = False
            leaves = [leaf for _, given, result in self.calls for leaf in (*given, *tree_leaves(result))]
            tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not leaf.is_inference()]
            self.versions = {id(tensor): (tensor, tensor._version) for tensor in tensors}


def _same(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(
        a is b or (type(a) is type(b) and not isinstance(a, Tensor) and bool(a == b))
        for a, b in zip(first, second, strict=True)
    )
