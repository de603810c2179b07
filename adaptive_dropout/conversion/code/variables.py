"""The variables of a function: what is assigned to its local ones, and what the others stand for."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import sys
from collections.abc import Iterable
from types import FunctionType
from typing import Any

__all__ = ["Variables"]

NOTHING = ast.Constant(None)


class Variables:
    """The variables of ``function``, whose statements and expressions are ``nodes``.

    ``assigned`` lists for each local variable every expression that is assigned to it anywhere, and whether the
    variable is only a part of the expression, or computed from it.
    """

    def __init__(self, function: FunctionType, nodes: list[ast.AST]) -> None:
        self.function = function
        self.assigned: dict[str, list[tuple[ast.expr, bool]]] = {}
        self.imported: dict[str, Any] = {}
        for node in nodes:
            self._note(node)

    def needed(self, name: str) -> set[str]:
        """Return the local variables from which ``name`` is made, and itself."""
        found, waiting = {name}, [name]
        while waiting:
            inside = [node for value, _ in self.assigned.get(waiting.pop(), ()) for node in ast.walk(value)]
            more = {node.id for node in inside if isinstance(node, ast.Name)} & self.assigned.keys() - found
            found |= more
            waiting += more
        return found

    def meaning(self, name: str) -> Any:
        """Return the object of this ``name`` outside the function, or imported in it; None if there is none."""
        if name in self.imported:
            return self.imported[name]
        cells = dict(zip(self.function.__code__.co_freevars, self.function.__closure__ or (), strict=True))
        if name not in cells:
            return self.function.__globals__.get(name, getattr(builtins, name, None))
        try:
            return cells[name].cell_contents
        except ValueError:  # it gets its value later
            return None

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                self._bind(target, value)
            case ast.AugAssign(target=target, value=value):
                self._bind_part(target, value)
                self._bind_part(target, target)
            case ast.For(target=target, iter=values) | ast.comprehension(target=target, iter=values):
                if isinstance(values, (ast.Tuple, ast.List)):
                    for value in values.elts:
                        self._bind(target, value)
                else:
                    self._bind_part(target, values)
            case ast.withitem(optional_vars=ast.expr() as target, context_expr=value):
                self._bind_part(target, value)
            case ast.FunctionDef(name=name, args=arguments) | ast.AsyncFunctionDef(name=name, args=arguments):
                self._hide([name, *(each.arg for each in ast.walk(arguments) if isinstance(each, ast.arg))])
            case ast.Lambda(args=arguments):
                self._hide(each.arg for each in ast.walk(arguments) if isinstance(each, ast.arg))
            case ast.Import(names=names):
                for alias in names:
                    local = alias.asname or alias.name.partition(".")[0]
                    self.imported[local] = sys.modules.get(alias.name if alias.asname else local)
            case ast.ImportFrom(names=names):
                for alias in names:
                    self.imported[alias.asname or alias.name] = self._member(node, alias.name)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Name(id=name), _:
                self.assigned.setdefault(name, []).append((value, False))
            case ((ast.Tuple(elts=targets) | ast.List(elts=targets)), ast.Tuple(elts=values)) if len(targets) == len(
                values
            ):
                for part, of in zip(targets, values, strict=True):
                    self._bind(part, of)
            case _:
                self._bind_part(target, value)

    def _bind_part(self, target: ast.expr, value: ast.expr) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.assigned.setdefault(node.id, []).append((value, True))

    def _hide(self, names: Iterable[str]) -> None:
        """Note that functions inside the function have variables of these ``names``, whose values are unknown."""
        for name in names:
            self.assigned.setdefault(name, []).append((NOTHING, True))

    def _member(self, node: ast.ImportFrom, name: str) -> Any:
        module = "." * node.level + (node.module or "")
        package = self.function.__globals__.get("__package__")
        try:
            module = importlib.util.resolve_name(module, package)
        except ImportError:
            return None
        return getattr(sys.modules.get(module), name, sys.modules.get(f"{module}.{name}"))
