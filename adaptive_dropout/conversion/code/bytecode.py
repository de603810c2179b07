"""Which names the forward of a class mentions, read from its byte code: neither source nor input is needed."""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

from torch import nn

from adaptive_dropout.conversion.code.functions import ENTRIES, function_behind, is_of_framework, named

__all__ = ["functions_called", "names_read"]

FUNCTIONAL = ("dropout", "drop_path", "drop_block", "scaled_dot_product_attention", "stochastic_depth")


def names_read(module: nn.Module, by: str = "") -> frozenset[str]:
    """Return the dotted names below ``self`` that ``forward`` of ``module`` and the methods it calls mention.

    >>> sorted(name for name in names_read(nn.MultiheadAttention(2, 1)) if "drop" in name)
    ['dropout']

    Args:
        module: only its class counts.
        by: count only methods that are defined in this package.
    """
    kind: type = type(module)
    return _names(kind, by)


def functions_called(module: nn.Module) -> list[str]:
    """Return the functional dropout that ``forward`` and the methods it calls mention, such as ``F.dropout``."""
    kind: type = type(module)
    names = {name.name for name in _mentioned(kind) if not name.name.startswith("self.")}
    return sorted(name for name in names if any(word in name.rpartition(".")[2] for word in FUNCTIONAL))


@functools.cache
def _names(kind: type, by: str) -> frozenset[str]:
    names = [name.name for name in _mentioned(kind) if name.module.startswith(by)]
    return frozenset(name.removeprefix("self.") for name in names if name.startswith("self."))


class Name(NamedTuple):
    """A dotted name, and the module of the method that mentions it."""

    name: str
    module: str


@functools.cache
def _mentioned(kind: type) -> frozenset[Name]:
    """Return all dotted names in the methods that run a module of the class ``kind``, and in those that they call."""
    names: set[Name] = set()
    seen: set[str] = set()
    waiting = set(ENTRIES)
    while waiting:
        method = waiting.pop()
        seen.add(method)
        names |= set(_names_in(kind, method))
        waiting |= {name.name.split(".")[1] for name in names if name.name.startswith("self.")} - seen
    return frozenset(names)


def _names_in(kind: type, method: str) -> Iterator[Name]:
    for _, found in named(kind, method):
        function = function_behind(found)
        if function is None or is_of_framework(function):
            return
        code = function.__code__
        me = code.co_varnames[0] if code.co_argcount else ""
        for name in _chains(code):
            root, dot, rest = name.partition(".")
            yield Name(f"self{dot}{rest}" if root == me else name, function.__module__ or "")
        if "super" not in code.co_names:
            return


def _chains(code: CodeType) -> Iterator[str]:
    """Yield every ``name.attribute.attribute`` in ``code`` and every beginning of it, in nested functions too."""
    chain = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            chain = f"{chain}.{instruction.argval}" if chain else ""
        elif "LOAD_" in instruction.opname and "CONST" not in instruction.opname:
            value = instruction.argval  # a pair where two names are loaded at once
            chain = str(value[-1] if isinstance(value, tuple) else value)
        elif instruction.opname not in ("COPY", "DUP_TOP"):  # which copy self, in self.p += 1
            chain = ""
        if chain:
            yield chain
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _chains(constant)
