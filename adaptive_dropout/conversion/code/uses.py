"""How the code of a class uses the numbers of its instances: read from the source of the methods that run it.

The code is read, not run. It follows names, attributes, local variables, ``a if b else c``, ``float``, and helpers: the
methods of the module and other functions, with the arguments that they get. It ignores the order of statements: a local
variable stands for everything that is ever assigned to it.
"""

from __future__ import annotations

import ast
import functools
from itertools import takewhile
from types import ModuleType
from typing import Any, Literal, NamedTuple

from torch.utils.checkpoint import checkpoint

from adaptive_dropout.conversion.code.drop_functions import probability_of
from adaptive_dropout.conversion.code.functions import Method, entries, getter_of, helper, method_of, tree_of
from adaptive_dropout.conversion.code.values import Value, union
from adaptive_dropout.conversion.code.variables import Variables

__all__ = ["Uses", "uses"]

DEPTH = 6  # of helpers that call helpers
PASSED_ON = (functools.partial, checkpoint)  # which call their first argument with the others


class Uses(NamedTuple):
    """Dotted names below ``self``, sorted by how the code uses them.

    Args:
        given: a function that drops gets them as its probability, unchanged.
        computed: the probability of such a function is computed from them.
        written: the code assigns to them.
        known: whether the source is there.
    """

    given: frozenset[str]
    computed: frozenset[str]
    written: frozenset[str]
    known: bool


@functools.cache
def uses(kind: type) -> Uses:
    """Return how a module of the class ``kind`` uses its numbers.

    >>> from torch import nn
    >>> uses(nn.Dropout).given
    frozenset({'p'})
    """
    methods = entries(kind)
    reads = [read(method, DEPTH) for method in methods]
    own = [method.parameters[0] if method.bound and method.parameters else "" for method in methods]
    dropped = union(done.dropped.below(me) for done, me in zip(reads, own, strict=True))
    written = union(done.written.below(me) for done, me in zip(reads, own, strict=True))
    return Uses(dropped.given, dropped.computed - dropped.given, written.given, all(done.known for done in reads))


class Read(NamedTuple):
    """How one function uses the names below its parameters.

    Args:
        dropped: the probability of a function that drops is one of these, or is computed from them.
        returned: it returns these.
        written: it assigns to these.
        known: whether the source is there.
    """

    dropped: Value = Value()
    returned: Value = Value()
    written: Value = Value()
    known: bool = True


class Call(NamedTuple):
    """A call in the source: the object called, a `Method` if it can be read, and the arguments up to a ``*``."""

    called: Any
    args: list[ast.expr]
    keywords: dict[str, ast.expr]


@functools.cache
def read(method: Method, depth: int) -> Read:
    """Return how ``method`` uses its names, following helpers to the given ``depth``."""
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
        """Return how the function uses its names."""
        calls = [self._call(node) for node in self.nodes if isinstance(node, ast.Call)]
        # A method that is only mentioned may be handed on, and called elsewhere.
        calls += [Call(method, [], {}) for node in self.nodes if (method := self._method(node))]
        stored = [n for n in self.nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)]
        returned = [node.value for node in self.nodes if isinstance(node, ast.Return) and node.value]
        return Read(
            union(map(self._dropped, calls)),
            union(map(self._value, returned)),
            union([*map(self._value, stored), *(self._from(call, "written") for call in calls)]),
        )

    def _dropped(self, call: Call) -> Value:
        """Return the probabilities that functions that drop get through ``call``."""
        method = call.called if isinstance(call.called, Method) else None
        probability = probability_of(method.function if method else call.called)
        if probability is None:
            return self._from(call, "dropped")
        name, place = probability
        place -= method.bound if method else 0
        given = call.keywords.get(name, call.args[place] if place < len(call.args) else None)
        return Value() if given is None else self._value(given).decided()

    def _from(self, call: Call, part: Literal["dropped", "returned", "written"]) -> Value:
        """Return one part of what the called method does, in the names of this function."""
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
                return union([self._value(one), self._value(other)])
            case ast.BoolOp(values=values):
                return union(map(self._value, values))
            case ast.NamedExpr(value=inner):
                return self._value(inner)
            case ast.Call():
                return self._result(node)
        return union(map(self._value, ast.iter_child_nodes(node))).mixed()

    def _result(self, node: ast.Call) -> Value:
        call = self._call(node)
        match call.called, call.args:
            case called, [number] if called is float:
                return self._value(number)
            case called, [owner, ast.Constant(value=str(name)), *_] if called is getattr:
                return self._attribute(self._value(owner), name)
            case Method() as method, _ if read(method, self.depth - 1).known:
                return self._from(call, "returned")
        return union(map(self._value, ast.iter_child_nodes(node))).mixed()

    def _variable(self, name: str) -> Value:
        if name not in self.values:
            # Variables may be made from each other: all of them grow until none does.
            names = [each for each in self.variables.needed(name) if each not in self.values]
            self.values.update((each, Value(frozenset({each} & self.parameters))) for each in names)
            while any(self._grows(each) for each in names):
                pass
        return self.values[name]

    def _grows(self, name: str) -> bool:
        assigned = [(self._value(node), part) for node, part in self.variables.assigned.get(name, ())]
        before = self.values[name]
        self.values[name] = union([before, *(value.mixed() if part else value for value, part in assigned)])
        return self.values[name] != before

    def _attribute(self, owner: Value, name: str) -> Value:
        if name.startswith("__") and not name.endswith("__") and self.method.home:
            name = f"_{self.method.home.__name__.lstrip('_')}{name}"
        kind = self.method.kind if owner == self.first else None
        getter = getter_of(kind, name) if kind else None
        return self._from(Call(getter, [], {}), "returned") if getter else owner.attribute(name)

    def _method(self, node: ast.AST) -> Method | None:
        """Return the method of the first argument, or of ``super()``, that ``node`` stands for."""
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
    """Return the member ``name`` of a module or a class; nothing is imported for it."""
    if isinstance(found, ModuleType):
        return vars(found).get(name)
    return getattr(found, name, None) if isinstance(found, type) else None
