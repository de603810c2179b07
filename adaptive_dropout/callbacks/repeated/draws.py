"""Random numbers of a repeated step: those of the network are new, all others are those of the first run.

So a step that draws the words it masks, the partners it mixes or the noise it adds does so once, and only the masks of
dropout differ. A network is what the step calls: a module that has weights, or a dropout layer by itself. What such a
call draws comes from numbers of its own; behind it the generators stand where they stood behind the first run's.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torchmetrics import Metric, MetricCollection

from adaptive_dropout.contexts import is_compiled, is_scripted, replaced
from adaptive_dropout.modules import NoiseLayer
from adaptive_dropout.noise.keys import mix

__all__ = ["Draws", "Generators"]


class Generators:
    """The states, now, of torch's, numpy's and Python's global generators; on CUDA of the devices of a module."""

    def __init__(self, module: nn.Module) -> None:
        devices = {weight.device.index or 0 for weight in module.parameters() if weight.is_cuda}
        self._torch = [torch.default_generator, *(torch.cuda.default_generators[device] for device in sorted(devices))]

    def take(self) -> Callable[[], None]:
        """Return a function that puts all of them back."""
        put_back, python, numpy = self.take_torch(), random.getstate(), np.random.get_state()

        def undo() -> None:
            put_back()
            random.setstate(python)
            np.random.set_state(numpy)

        return undo

    def take_torch(self) -> Callable[[], None]:
        """Return a function that puts torch's back."""
        states = [generator.get_state() for generator in self._torch]

        def undo() -> None:
            for generator, state in zip(self._torch, states, strict=True):
                generator.set_state(state)

        return undo

    def leave(self, number: int) -> None:
        """Move torch's to where they stand for the ``number``-th repetition from here, from 1 on."""
        seed = int(torch.randint(2**62, ()).item())
        for generator in self._torch:
            generator.manual_seed(mix(seed, number) % 2**62)


class Draws:
    """Follows the calls of networks through one step and its repetitions.

    Args:
        module: whose step it is.
        shared: a submodule that is not run again: its first outputs, with their graph, serve all repetitions.
    """

    def __init__(self, module: nn.Module, shared: nn.Module | None = None) -> None:
        self.generators = Generators(module)
        self._module, self._shared = module, shared
        self._after: list[Callable[[], None]] = []
        self._outputs: list[Any] = []
        self._number = self._calls = self._depth = self._served = 0

    @property
    def saw_a_call(self) -> bool:
        """Whether the first run called a network."""
        return bool(self._after)

    @contextmanager
    def following(self, number: int = 0) -> Iterator[None]:
        """Follow the first run, or the ``number``-th repetition of it."""
        self._number, self._calls, self._depth, self._served = number, 0, 0, 0
        with ExitStack() as stack:
            for part in _callable_parts(self._module, _inside_of_compiled(self._module)):
                name = "_compiled_call_impl" if part._compiled_call_impl is not None else "forward"
                call = functools.partial(self._call, part, getattr(part, name))
                stack.enter_context(replaced(part, **{name: call}))
            if number and not self.saw_a_call:
                self.generators.leave(number)
            yield

    def _call(self, part: nn.Module, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if part is self._shared:
            return self._call_shared(call, *args, **kwargs)
        if self._depth:
            return call(*args, **kwargs)
        if self._number:
            self.generators.leave(self._number)
        self._depth += 1
        try:
            return call(*args, **kwargs)
        finally:
            self._depth -= 1
            self._end_of_call()

    def _call_shared(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._depth += 1
        try:
            if not self._number:
                self._outputs.append(call(*args, **kwargs))
            # Copies, because what follows may write to them.
            output = tree_map(_copy, self._outputs[-1 if not self._number else self._served])
            self._served += 1
            return output
        finally:
            self._depth -= 1
            if not self._depth:
                self._end_of_call()

    def _end_of_call(self) -> None:
        if not self._number:
            self._after.append(self.generators.take_torch())
        elif self._calls < len(self._after):
            self._after[self._calls]()
        self._calls += 1


def _callable_parts(module: nn.Module, seen: set[int]) -> Iterator[nn.Module]:
    """Yield the modules that a step may call as a network, but for those whose ids are ``seen``."""
    if id(module) in seen or isinstance(module, (Metric, MetricCollection)) or is_scripted(module):
        return
    seen.add(id(module))
    if next(module.parameters(), None) is None and not _drops(module):
        return
    yield module
    for child in module.children():
        yield from _callable_parts(child, seen)


def _inside_of_compiled(module: nn.Module) -> set[int]:
    """Return the ids of the modules in compiled ones: each change of them would compile them anew."""
    compiled = [part for part in module.modules() if is_compiled(part)]
    return {id(inner) for part in compiled for inner in part.modules() if inner is not part}


def _drops(module: nn.Module) -> bool:
    return any(isinstance(part, NoiseLayer) or "Drop" in type(part).__name__ for part in module.modules())


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
