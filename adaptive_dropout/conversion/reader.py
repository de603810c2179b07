"""One function of other people's code, read from its source: which numbers it hands to functions that drop.

What is followed are names, attributes, local variables, ``a if b else c``, ``float``, and helpers: the methods of the
module and other functions, for the arguments that they are given. The order of statements does not count: a local
variable is all that is ever assigned to it.
"""

from __future__ import annotations

import ast
import functools
from itertools import takewhile
from types import ModuleType
from typing import Any, Literal, NamedTuple

from torch.utils.checkpoint import checkpoint

from adaptive_dropout.conversion.droppers import probability_of
from adaptive_dropout.conversion.source import Method, getter_of, helper, method_of, tree_of
from adaptive_dropout.conversion.values import Value, joined
from adaptive_dropout.conversion.variables import Variables

__all__ = ["Read", "read"]

PASSED_ON = (functools.partial, checkpoint)  # which call their first argument with the others


class Read(NamedTuple):
    """What a function does with the names below its parameters.

    Args:
        dropped: they, or what is computed from them, are the probability that a function drops with.
        returned: it returns them.
        written: it assigns to them.
        known: whether the source is there.
    """

    dropped: Value = Value()
    returned: Value = Value()
    written: Value = Value()
    known: bool = True


class Call(NamedTuple):
    """A call as it is written: what is called, a `Method` if it can be read, and the arguments up to a ``*``."""

    called: Any
    args: list[ast.expr]
    keywords: dict[str, ast.expr]


@functools.cache
def read(method: Method, depth: int) -> Read:
    """Return what ``method`` does, its helpers followed ``depth`` deep."""
    tree = tree_of(method.function)
    return Read(known=False) if tree is None or not depth else _Reader(method, tree, depth).read()


class _Reader:
    def __init__(self, method: Method, tree: Any, depth: int) -> None:
        self.method, self.depth = method, depth
        self.nodes = [node for statement in tree.body for node in ast.walk(statement)]
        self.variables = Variables(method.function, self.nodes)
        self.parameters = {each.arg for each in ast.walk(tree.args) if isinstance(each, ast.arg)}
        self.first = Value(frozenset(method.parameters[:1]))
        self.values: dict[str, Value] = {}

    def read(self) -> Read:
        """Return what the function does."""
        calls = [self._call(node) for node in self.nodes if isinstance(node, ast.Call)]
        # A method may be handed on, and called elsewhere.
        calls += [Call(method, [], {}) for node in self.nodes if (method := self._method(node))]
        stored = [n for n in self.nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)]
        returned = [node.value for node in self.nodes if isinstance(node, ast.Return) and node.value]
        return Read(
            joined(map(self._dropped, calls)),
            joined(map(self._value, returned)),
            joined([*map(self._value, stored), *(self._from(call, "written") for call in calls)]),
        )

    def _dropped(self, call: Call) -> Value:
        """Return what functions that drop get as their probability through ``call``."""
        method = call.called if isinstance(call.called, Method) else None
        probability = probability_of(method.function if method else call.called)
        if probability is None:
            return self._from(call, "dropped")
        name, place = probability
        place -= method.bound if method else 0
        given = call.keywords.get(name, call.args[place] if place < len(call.args) else None)
        return Value() if given is None else self._value(given).decided()

    def _from(self, call: Call, part: Literal["dropped", "returned", "written"]) -> Value:
        """Return a part of what the method called does, in the names of this function."""
        method = call.called
        value: Value = getattr(read(method, self.depth - 1), part) if isinstance(method, Method) else Value()
        needed = {name.partition(".")[0] for names in value for name in names}
        if not needed:
            return Value()
        given = call.keywords | dict(zip(method.parameters[method.bound :], call.args, strict=False))
        bound = {name: self._value(node) for name, node in given.items() if name in needed}
        if method.bound and method.kind:
            bound[method.parameters[0]] = self.first
        return value.where(bound)

    def _value(self, node: ast.AST) -> Value:
        match node:
            case ast.Name(id=name):
                return self._variable(name)
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(self._value(owner), name)
            case ast.Subscript(value=owner, slice=ast.Constant(value=str(key))):
                return self._value(owner).attribute(f"[{key}]")
            case ast.IfExp(body=one, orelse=other):
                return joined([self._value(one), self._value(other)])
            case ast.BoolOp(values=values):
                return joined(map(self._value, values))
            case ast.NamedExpr(value=inner):
                return self._value(inner)
            case ast.Call():
                return self._result(node)
        return joined(map(self._value, ast.iter_child_nodes(node))).mixed()

    def _result(self, node: ast.Call) -> Value:
        call = self._call(node)
        match call.called, call.args:
            case called, [number] if called is float:
                return self._value(number)
            case called, [owner, ast.Constant(value=str(name)), *_] if called is getattr:
                return self._attribute(self._value(owner), name)
            case Method() as method, _ if read(method, self.depth - 1).known:
                return self._from(call, "returned")
        return joined(map(self._value, ast.iter_child_nodes(node))).mixed()

    def _variable(self, name: str) -> Value:
        if name not in self.values:
            # What it is made of may be made of it in turn: all of them grow until nothing does.
            names = [each for each in self.variables.needed(name) if each not in self.values]
            self.values.update((each, Value(frozenset({each} & self.parameters))) for each in names)
            while any(self._grows(each) for each in names):
                pass
        return self.values[name]

    def _grows(self, name: str) -> bool:
        assigned = [(self._value(node), part) for node, part in self.variables.assigned.get(name, ())]
        before = self.values[name]
        self.values[name] = joined([before, *(value.mixed() if part else value for value, part in assigned)])
        return self.values[name] != before

    def _attribute(self, owner: Value, name: str) -> Value:
        if name.startswith("__") and not name.endswith("__") and self.method.home:
            name = f"_{self.method.home.__name__.lstrip('_')}{name}"
        kind = self.method.kind if owner == self.first else None
        getter = getter_of(kind, name) if kind else None
        return self._from(Call(getter, [], {}), "returned") if getter else owner.attribute(name)

    def _method(self, node: ast.AST) -> Method | None:
        """Return the method that ``node`` is, of the first argument or of ``super()``."""
        kind = self.method.kind
        match node:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=name) if kind:
                return method_of(kind, name, self.method.home)
            case ast.Attribute(value=ast.Name() as owner, attr=name) if kind and self._value(owner) == self.first:
                return method_of(kind, name)
        return None

    def _call(self, node: ast.Call) -> Call:
        function, args = node.func, node.args
        if args and self._object(function) in PASSED_ON:
            function, args = args[0], args[1:]
        args = list(takewhile(lambda arg: not isinstance(arg, ast.Starred), args))
        keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        called = self._method(function)
        if called is None:
            found = self._object(function)
            given_self = args and self._value(args[0]) == self.first
            called = helper(found, self.method.kind if given_self else None) or found
        return Call(called, args, keywords)

    def _object(self, node: ast.expr) -> Any:
        """Return the object outside the function that ``node`` stands for; None if there is none."""
        match node:
            case ast.Name(id=name) if name in self.variables.assigned:
                values = self.variables.assigned[name]
                once = len(values) == 1 and not values[0][1] and name not in self.parameters
                return self._object(values[0][0]) if once else None
            case ast.Name(id=name):
                return None if name in self.parameters else self.variables.meaning(name)
            case ast.Attribute(value=owner, attr=name):
                return _member(self._object(owner), name)
        return None


def _member(found: Any, name: str) -> Any:
    """Return what a module or a class calls ``name``; nothing is imported for it."""
    if isinstance(found, ModuleType):
        return vars(found).get(name)
    return getattr(found, name, None) if isinstance(found, type) else None
