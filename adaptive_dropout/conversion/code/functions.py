"""Functions in code that someone else wrote: those behind the names of a class, and their syntax trees."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any, NamedTuple

__all__ = [
    "ENTRIES",
    "Method",
    "entries",
    "function_behind",
    "getter_of",
    "helper",
    "is_of_framework",
    "method_of",
    "named",
    "tree_of",
]

ENTRIES = ("forward", "training_step", "message", "edge_update")
"""The methods that run a module: its own forward, Lightning's step, and those that torch_geometric calls by name."""

# Their methods are named in a forward, but have no dropout.
FRAMEWORKS = ("torch.nn.modules.module", "lightning.", "pytorch_lightning.")
LIBRARIES = {"torch", "numpy", "einops"}  # whose functions hold no number of a model


class Method(NamedTuple):
    """A function, of a class or not, without its decorators.

    Args:
        function: the function.
        kind: the class of its first argument, if that is known.
        home: the class that defines it.
        bound: whether it is called without its first argument.
    """

    function: Any  # a FunctionType, which type checkers would bind
    kind: type | None = None
    home: type | None = None
    bound: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its positional arguments."""
        names: tuple[str, ...] = self.function.__code__.co_varnames
        return names[: self.function.__code__.co_argcount]


def function_behind(found: Any) -> FunctionType | None:
    """Return the plain function behind a method, a property, or their decorators."""
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    found = inspect.unwrap(found) if callable(found) else None
    return found if inspect.isfunction(found) else None


def is_of_framework(function: FunctionType) -> bool:
    """Return whether ``function`` is one that a framework gives to every module."""
    return (function.__module__ or "").startswith(FRAMEWORKS)


def named(kind: type, name: str, after: type | None = None) -> Iterator[tuple[type, Any]]:
    """Yield each base of ``kind`` that defines ``name``, with its definition, the nearest base first.

    With ``after``, only the bases behind that one count, as for its ``super()``.
    """
    bases = kind.__mro__
    for base in bases[bases.index(after) + 1 :] if after in bases else bases:
        if name in vars(base):
            yield base, vars(base)[name]


def method_of(kind: type, name: str, after: type | None = None) -> Method | None:
    """Return the method ``self.name``, or ``super().name`` in the class ``after``; None if a framework defines it."""
    for home, found in named(kind, name, after):
        function = None if isinstance(found, property) else function_behind(found)
        if function is None or is_of_framework(function):
            return None
        with_self = not isinstance(found, (staticmethod, classmethod))
        return Method(function, kind if with_self else None, home, not isinstance(found, staticmethod))
    return None


def getter_of(kind: type, name: str) -> Method | None:
    """Return the function behind the property ``name``; None if there is none, or a framework defines it."""
    for home, found in named(kind, name):
        function = function_behind(found) if isinstance(found, property) else None
        own = function is not None and not is_of_framework(function)
        return Method(function, kind, home, bound=True) if own else None
    return None


def helper(found: Any, kind: type | None) -> Method | None:
    """Return ``found`` as a function to be read, perhaps called with a ``kind`` first; None if a library defines it."""
    function = inspect.unwrap(found) if inspect.isfunction(found) else None
    if function is None or (function.__module__ or "").partition(".")[0] in LIBRARIES:
        return None
    homes = [home for home, same in named(kind, function.__name__) if function_behind(same) is function] if kind else []
    return Method(function, kind, homes[0] if homes else None)


def entries(kind: type) -> list[Method]:
    """Return the methods that run a module of the class ``kind``."""
    return [method for name in ENTRIES if (method := method_of(kind, name))]


@functools.cache
def tree_of(function: FunctionType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the syntax tree of ``function``; None if its source is missing."""
    try:
        source = inspect.getsource(function)
        # Below a line that allows its indentation, not dedented: a string in it may begin at the margin.
        tree = ast.parse(f"if True:\n{source}" if source[:1].isspace() else source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    tree = tree.body[0] if isinstance(tree, ast.If) else tree
    defines = isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)) and tree.name == function.__name__
    return tree if defines else None  # type: ignore[return-value]
