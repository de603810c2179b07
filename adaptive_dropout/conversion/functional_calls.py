"""Watching one forward: which modules it calls, and which calls of functional dropout no rate can reach.

This is an experiment: in a copy of the model every number in reach gets a unique value, so a call with another value
is out of reach, because its p is in the code.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from adaptive_dropout.contexts import unchanged
from adaptive_dropout.conversion.code.drop_functions import CALLS
from adaptive_dropout.conversion.counterparts import attribute_of
from adaptive_dropout.conversion.found import Found, find
from adaptive_dropout.modules import Rated
from adaptive_dropout.rates import AttributeRate, named_rates
from adaptive_dropout.rates.attribute import write

__all__ = ["Call", "Forward", "watch"]

MASKS = (torch.bernoulli, Tensor.bernoulli, Tensor.bernoulli_)


class Call(NamedTuple):
    """A call of a function by the module ``name``, its p (None if it draws a mask of its own), and how often."""

    name: str
    function: str
    p: float | None
    times: int


class Forward(NamedTuple):
    """The names of the modules that a forward called, and its calls of functional dropout out of reach."""

    modules: set[str]
    calls: list[Call]


def watch(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Forward:
    """Run a copy of ``model`` once in training mode on ``(*args, **kwargs)`` and return what it calls."""
    copied = copy.deepcopy(model).train()
    found = find(copied)
    values = _give_unique_values(copied, found)
    # A layer draws its mask itself, so calls inside a layer in reach are in reach.
    inside = {id(layer.layer) for layer in found.layers}
    inside |= {id(number.home) for number in found.numbers if number.slot == "rate"}
    inside |= {id(module) for module in copied.modules() if isinstance(module, Rated)}
    stack: list[tuple[str, bool]] = [("", id(copied) in inside)]
    entered: set[str] = set()
    for path, module in copied.named_modules():
        _follow(stack, entered, (path, id(module) in inside), module)
    listener = _Listener(values, stack)
    with unchanged(copied), torch.no_grad(), listener:
        copied(*args, **kwargs)
    return Forward(entered, [Call(*call, times) for call, times in listener.calls.items()])


class _Listener(TorchFunctionMode):
    """Records each call whose p is not one of ``values``, under the innermost module of ``stack``."""

    def __init__(self, values: set[float], stack: list[tuple[str, bool]]) -> None:
        super().__init__()
        self.values = values
        self.stack = stack
        self.calls: Counter[tuple[str, str, float | None]] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Record the call, and make it."""
        kwargs = kwargs or {}
        path, reached = self.stack[-1]
        if func in MASKS and not reached and not any(_is_of(self.values, p) for p in (*args[1:], kwargs.get("p"))):
            self.calls[path, func.__name__, None] += 1
        elif func in CALLS:
            p = _p_of_call(func, args, kwargs)
            if p and p not in self.values:
                self.calls[path, func.__name__, p] += 1
        return func(*args, **kwargs)


def _is_of(values: set[float], p: object) -> bool:
    return isinstance(p, float) and (p in values or 1.0 - p in values)  # of dropping, or of keeping


def _p_of_call(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> float:
    name, place = CALLS[func]
    off = not kwargs.get("training", args[place + 1] if name == "p" and len(args) > place + 1 else True)
    missing = 0.5 if name == "p" else 0.0  # torch's own defaults
    return 0.0 if off else float(kwargs.get(name, args[place] if len(args) > place else missing))


def _follow(stack: list[tuple[str, bool]], entered: set[str], place: tuple[str, bool], module: nn.Module) -> None:
    def enter(*_: Any) -> None:
        stack.append(place)
        entered.add(place[0])

    def leave(*_: Any) -> None:
        stack.pop()

    module.register_forward_pre_hook(enter)
    module.register_forward_hook(leave)


def _give_unique_values(model: nn.Module, found: Found) -> set[float]:
    places: list[tuple[object, str]] = [(layer.layer, attribute_of(layer.layer)) for layer in found.layers]
    places += [(number.owner, number.attribute) for number in found.numbers]
    places += [(rate.owner, rate.attribute) for _, rate in named_rates(model, AttributeRate)]
    values = [0.25 + (number + 1) * 2.0**-30 for number in range(len(places))]  # numbers that nobody would choose
    for (owner, attribute), value in zip(places, values, strict=True):
        if attribute:
            write(owner, attribute, value)
    return set(values)
