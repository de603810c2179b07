"""Numbers that the host reads from tensors, together: each read waits until the device has done all its work."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["read_numbers"]


def read_numbers(values: Sequence[float | Tensor]) -> list[float]:
    """Return ``values`` as numbers; those in tensors, of one element each, in one transfer per device and dtype.

    >>> read_numbers([torch.tensor(0.5), 1.5, torch.tensor([2])])
    [0.5, 1.5, 2.0]
    """
    numbers = {place: value for place, value in enumerate(values) if not isinstance(value, Tensor)}
    together: dict[tuple[torch.device, torch.dtype], dict[int, Tensor]] = {}
    for place, value in enumerate(values):
        if isinstance(value, Tensor):
            together.setdefault((value.device, value.dtype), {})[place] = value.detach().reshape(())
    for tensors in together.values():
        numbers |= zip(tensors, torch.stack(list(tensors.values())).tolist(), strict=True)
    return [float(numbers[place]) for place in range(len(values))]
