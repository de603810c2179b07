"""What the forward of a class reads from itself, told from its byte code: no source and no input is needed."""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from torch import nn

__all__ = ["functions_called", "names_read"]

# Frameworks' own methods, which a forward of theirs names and which hold no dropout.
FRAMEWORKS = ("torch.nn.modules.module", "lightning.", "pytorch_lightning.")
FUNCTIONAL = ("dropout", "drop_path", "drop_block", "scaled_dot_product_attention", "stochastic_depth")


def names_read(module: nn.Module) -> frozenset[str]:
    """Return the dotted names below ``self`` that ``forward`` of ``module`` and the methods it calls mention.

    >>> sorted(name for name in names_read(nn.MultiheadAttention(2, 1)) if "drop" in name)
    ['dropout']
    """
    kind: Any = type(module)
    return _names(kind)[0]


def functions_called(module: nn.Module) -> list[str]:
    """Return the functional dropout that ``forward`` and the methods it calls mention, such as ``F.dropout``."""
    kind: Any = type(module)
    return sorted(name for name in _names(kind)[1] if any(word in name.rpartition(".")[2] for word in FUNCTIONAL))


@functools.cache
def _names(module_class: type) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names below ``self``, and all others."""
    names = _mentioned(module_class)
    own = {name for name in names if name.startswith("self.")}
    return frozenset(name.removeprefix("self.") for name in own), frozenset(names - own)


def _mentioned(module_class: type) -> set[str]:
    """All dotted names that the methods reachable from ``forward`` mention."""
    names: set[str] = set()
    seen: set[str] = set()
    waiting = {"forward", "training_step"}
    while waiting:
        method = waiting.pop()
        seen.add(method)
        names |= set(_names_in(module_class, method))
        waiting |= {name.split(".")[1] for name in names if name.startswith("self.")} - seen
    return names


def _names_in(module_class: type, method: str) -> Iterator[str]:
    for owner in module_class.__mro__:
        if method not in vars(owner):
            continue
        function = _function(vars(owner)[method])
        if function is None or function.__module__.startswith(FRAMEWORKS):
            return
        code = function.__code__
        me = code.co_varnames[0] if code.co_argcount else ""
        for name in _chains(code):
            root, dot, rest = name.partition(".")
            yield f"self{dot}{rest}" if root == me else name
        if "super" not in code.co_names:
            return


def _function(found: Any) -> Callable[..., Any] | None:
    """Return the plain function behind a method, a property, or what decorates them."""
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    found = inspect.unwrap(found) if callable(found) else None
    return found if inspect.isfunction(found) else None


def _chains(code: CodeType) -> Iterator[str]:
    """Yield every ``name.attribute.attribute`` of ``code``, each with its beginnings, nested functions included."""
    chain = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            chain = f"{chain}.{instruction.argval}" if chain else ""
        elif "LOAD_" in instruction.opname and "CONST" not in instruction.opname:
            value = instruction.argval  # a pair where two names are loaded at once
            chain = str(value[-1] if isinstance(value, tuple) else value)
        else:
            chain = ""
        if chain:
            yield chain
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _chains(constant)
