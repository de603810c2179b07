"""Changes that last as long as a ``with`` block, and whether a module runs as Python code at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from adaptive_dropout.nested import new_copy, write

__all__ = ["eager", "evaluating", "is_compiled", "is_scripted", "replaced", "unchanged"]


@contextmanager
def replaced(owner: object, **attributes: Any) -> Iterator[None]:
    """Temporarily give ``owner``, such as a module, other attributes in its own ``__dict__``.

    Afterwards each attribute is what it was, or is gone where ``owner`` had none of its own.
    """
    own = vars(owner)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del own[name]
        own.update(before)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Temporarily put all of ``model`` into eval mode; afterwards only what was in training mode returns to it."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Restore the buffers of ``model``, such as those of BatchNorm, and torch's generators at the end.

    Other effects of a forward pass, on attributes of the model or outside it, are not undone.
    """
    places = [(module._buffers, name) for module in model.modules() for name in module._buffers]
    kept = [(place, name, b, new_copy(b, b.device)) for place, name in places if (b := place[name]) is not None]
    devices = {tensor.device.index or 0 for tensor in model.parameters() if tensor.device.type == "cuda"}
    with torch.random.fork_rng(sorted(devices)):
        try:
            yield
        finally:
            for place, name, buffer, copy in kept:
                write(copy, buffer)
                place[name] = buffer


@contextmanager
def eager() -> Iterator[None]:
    """Temporarily run compiled models uncompiled: each change made inside would compile them anew, twice."""
    if "torch._dynamo" not in sys.modules:  # then nothing is compiled, and importing it takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def is_scripted(module: nn.Module) -> bool:
    """Return whether ``module`` was made by ``torch.jit``, so that its code is fixed."""
    return isinstance(module, torch.jit.ScriptModule)


def is_compiled(module: nn.Module) -> bool:
    """Return whether calling ``module`` runs compiled code: after ``torch.compile(module)`` or ``module.compile()``.

    Modules inside a compiled one are not compiled themselves.

    Raises:
        RuntimeError: this version of torch does not say so.
    """
    if "_orig_mod" in module._modules:  # the wrapper that torch.compile returns; its class would import dynamo
        return True
    try:
        return module._compiled_call_impl is not None
    except AttributeError as error:
        raise RuntimeError(f"torch {torch.__version__} does not tell whether a module is compiled: {error}") from error
