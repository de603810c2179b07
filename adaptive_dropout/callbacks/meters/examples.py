"""Which kept batches hold the same examples, in whichever order: together they tell no more than one of them.

Where one batch has all the training data, as with a graph or a data set smaller than a batch, every batch is the same.
Their losses then differ by rounding alone, and so would a standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from adaptive_dropout.layouts import coordinates, is_sparse

__all__ = ["distinct"]

Contents = dict[str, Any]
"""The tensors, lists of plain values and other values in a batch, by where they stand."""


WORDS = (torch.int64, torch.int32, torch.int16, torch.uint8)
DEEPEST = 6  # objects in objects: one may hold itself


def distinct(batches: Sequence[Any]) -> list[Any]:
    """Return the ``batches`` without those that hold the same examples as one before them.

    Every tensor and list that is as long as the first has one entry for each example; all else belongs to all of them.
    Objects are known by their attributes. Those without any are never the same, nor are arrays of other libraries.

    >>> [len(distinct([torch.tensor([1, 2]), torch.tensor(other)])) for other in ([2, 1], [2, 2])]
    [1, 2]
    """
    found: list[tuple[Any, Any]] = []
    for batch in batches:
        contents = _contents(batch)
        sums = {place: _order_free(value) for place, value in contents.items()}
        # Examples are sorted only where all sums agree, so that other batches cost one pass over their memory.
        if not any(sums == others and _same(contents, _contents(other)) for others, other in found):
            found.append((sums, batch))
    return [batch for _, batch in found]


def _contents(batch: Any, place: str = "") -> Contents:
    if isinstance(batch, Mapping):
        parts = [(f"{place}.{key}", value) for key, value in batch.items()]
    elif isinstance(batch, Sequence) and not isinstance(batch, str):
        if batch and isinstance(batch[0], (str, int, float)):
            return {place: list(batch)}
        parts = [(f"{place}.{number}", value) for number, value in enumerate(batch)]
    elif not isinstance(batch, Tensor) and getattr(batch, "__dict__", None) and place.count(".") < DEEPEST:
        parts = [(f"{place}.{name}", value) for name, value in vars(batch).items()]
    else:
        return {place: batch}
    return {where: value for name, part in parts for where, value in _contents(part, name).items()}


def _order_free(value: Any) -> Any:
    """Return what is the same for the same entries in any order."""
    if not _is_readable(value):
        return type(value)
    if isinstance(value, list):
        return len(value)
    numbers = coordinates(value).values() if is_sparse(value) else value
    return value.shape, value.dtype, _sum_of_words(numbers, len(numbers) if numbers.dim() else 1)


def _sum_of_words(tensor: Tensor, size: int) -> int:
    """Return the sum of the memory of ``size`` entries, read as integers: the widest that an entry has a number of."""
    found = _as_bytes(tensor)
    each = found.numel() // max(size, 1)
    word = next(word for word in WORDS if each % word.itemsize == 0)  # 64 bits: .003 s for 38 MB, bytes .22 s
    aligned = found if found.storage_offset() % word.itemsize == 0 else found.clone()
    return int(aligned.view(word).sum(dtype=torch.int64))


def _same(contents: Contents, others: Contents) -> bool:
    lengths = [len(value) for value in contents.values() if _has_entries(value)]
    return bool(lengths) and _split(contents, lengths[0]) == _split(others, lengths[0])


def _split(contents: Contents, size: int) -> tuple[list[Any], list[Any]]:
    """Return the examples of a batch of ``size``, sorted, and what belongs to all of them."""
    of_each = [value for value in contents.values() if _has_entries(value) and len(value) == size]
    of_all = [value for value in contents.values() if not (_has_entries(value) and len(value) == size)]
    common = [
        _entries(value[None] if value.dim() == 0 else value) if _is_tensor(value) else repr(value) for value in of_all
    ]
    return sorted(zip(*(_entries(value) for value in of_each), strict=True)), common


def _is_tensor(value: Any) -> bool:
    """Tell whether ``value`` is a tensor whose memory can be read."""
    if not isinstance(value, Tensor) or value.is_nested or value.is_quantized:
        return False
    return value.layout == torch.strided or is_sparse(value)


def _is_readable(value: Any) -> bool:
    return isinstance(value, list) or _is_tensor(value)


def _has_entries(value: Any) -> bool:
    return isinstance(value, list) or (_is_tensor(value) and value.dim() > 0)


def _entries(values: Tensor | list[Any]) -> list[bytes]:
    """Return each entry along the first dimension as bytes."""
    if isinstance(values, list):
        return [repr(value).encode() for value in values]
    if not is_sparse(values):
        flat = _as_bytes(values).cpu()
        each = flat.reshape(len(values), flat.numel() // max(len(values), 1)).numpy()
        return [entry.tobytes() for entry in each]
    found = coordinates(values).cpu()
    places, numbers = found.indices(), found.values()
    ends = torch.bincount(places[0], minlength=len(values)).cumsum(0).tolist()
    pieces = [slice(start, end) for start, end in pairwise([0, *ends])]
    return [b"".join(_as_bytes(part).numpy().tobytes() for part in (places[1:, p], numbers[p])) for p in pieces]


def _as_bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)
