"""What a user's module holds besides its weights, taken down so that it can be put back after a step.

Lists, dictionaries and sets are copied one level at a time, to any depth; tensors, buffers, arrays and generators by
value. What frameworks own (trainers, data, loggers, optimizers) is left alone, and so is what files hold.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from adaptive_dropout.callbacks.isolated.copying import FRAMEWORKS, SHARED
from adaptive_dropout.callbacks.packages import both
from adaptive_dropout.rates import Rate

__all__ = ["take_down"]

LEFT_ALONE = (type(None), bool, int, float, complex, str, bytes, type, nn.Parameter, *both(L.Trainer), *SHARED)
INTERNAL = set(vars(nn.Module())) - {"training"}
MANY = 1000
"""Longer containers hold data rather than containers: their items are kept, but not looked into."""

Undo = Callable[[], object]


def take_down(module: nn.Module) -> Undo:
    """Return a function that gives ``module`` and its submodules the attributes, contents and buffers of now.

    Parameters, its own metrics and its rates stay as they are. It may be called several times.
    """
    undo: list[Undo] = []
    parts = list(module.modules())
    seen = {id(part) for part in parts}
    for part in parts:
        if isinstance(part, (Metric, MetricCollection, Rate)):
            continue
        undo.extend(_buffers(part))
        undo.extend(_of_hooks(part, seen))
        if not type(part).__module__.startswith(FRAMEWORKS):
            undo.append(_keep_entries(vars(part)))
            for name, value in list(vars(part).items()):
                if name not in INTERNAL:
                    undo.extend(_contents(value, seen))
            undo.extend(_of_classes(type(part), seen))

    def put_back() -> None:
        for each in undo:
            each()

    return put_back


def _buffers(part: nn.Module) -> Iterator[Undo]:
    if part._buffers:
        yield _keep_entries(part._buffers)
        for buffer in part._buffers.values():
            if buffer is not None:
                yield from _numbers(buffer)


def _of_hooks(part: nn.Module, seen: set[int]) -> Iterator[Undo]:
    """Yield what puts back the lists and dictionaries around the hooks of ``part``, to which they may append."""
    for hook in (*part._forward_hooks.values(), *part._forward_pre_hooks.values()):
        for cell in getattr(hook, "__closure__", None) or ():
            yield from _contents(cell.cell_contents, seen)


def _of_classes(kind: type, seen: set[int]) -> Iterator[Undo]:
    """Yield what puts back the lists and dictionaries that a user's class itself holds."""
    for base in kind.__mro__:
        if not base.__module__.startswith(FRAMEWORKS):
            for name, value in vars(base).items():
                if isinstance(value, (list, dict, set)) and not name.startswith("__"):
                    yield from _contents(value, seen)


def _contents(value: Any, seen: set[int]) -> Iterator[Undo]:
    """Yield what puts back the contents of ``value``, and of all that it holds."""
    if isinstance(value, LEFT_ALONE) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        yield _keep_entries(value)
        yield from _items(value.values(), len(value), seen)
    elif isinstance(value, (list, deque)):
        yield _keep_items(value)
        yield from _items(value, len(value), seen)
    elif isinstance(value, set):
        yield _keep_members(value)
    elif isinstance(value, tuple):
        yield from _items(value, len(value), seen)
    elif isinstance(value, (Tensor, np.ndarray, torch.Generator, random.Random, np.random.Generator)):
        yield from _numbers(value)
    elif isinstance(value, nn.Module) or _is_a_users(value):  # a module that the model does not know, in a list
        yield _keep_entries(vars(value))
        yield from _items(list(vars(value).values()), len(vars(value)), seen)


def _is_a_users(value: Any) -> bool:
    return hasattr(value, "__dict__") and not callable(value) and not type(value).__module__.startswith(FRAMEWORKS)


def _numbers(value: Any) -> Iterator[Undo]:
    """Yield what puts back the numbers of a tensor or array, or the state of a generator."""
    if isinstance(value, Tensor):
        if value.is_leaf and not value.requires_grad and value.layout is torch.strided:
            yield _keep_values(value)
    elif isinstance(value, np.ndarray):
        kept = value.copy()
        yield lambda: np.copyto(value, kept)
    elif isinstance(value, torch.Generator):
        state = value.get_state()
        yield lambda: value.set_state(state)
    elif isinstance(value, random.Random):
        drawn = value.getstate()
        yield lambda: value.setstate(drawn)
    else:
        bits, kept_bits = value.bit_generator, value.bit_generator.state
        yield lambda: setattr(bits, "state", kept_bits)


def _items(values: Any, count: int, seen: set[int]) -> Iterator[Undo]:
    if count <= MANY:
        for value in list(values):
            yield from _contents(value, seen)


def _keep_entries(place: dict[Any, Any]) -> Undo:
    kept = dict(place)

    def undo() -> None:
        if place.keys() != kept.keys():
            for name in [name for name in place if name not in kept]:
                del place[name]
        place.update(kept)

    return undo


def _keep_items(place: list[Any] | deque[Any]) -> Undo:
    kept = list(place)

    def undo() -> None:
        place.clear()
        place.extend(kept)

    return undo


def _keep_members(place: set[Any]) -> Undo:
    kept = set(place)

    def undo() -> None:
        place.clear()
        place.update(kept)

    return undo


def _keep_values(tensor: Tensor) -> Undo:
    """Keep the numbers of a tensor that no graph was made for; autograd does not see that they are put back."""
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        kept = tensor.detach().clone()

    def undo() -> None:
        with torch.inference_mode(tensor.is_inference()), torch.no_grad():
            place = tensor if tensor.is_inference() else tensor.data  # .data: without a new version
            if place.shape == kept.shape:
                place.copy_(kept)

    return undo
