"""What an expression may be: the dotted names that it may stand for, and those that it is computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["Value", "union"]

DEEPEST = 5  # attributes of attributes: ``node = node.next`` would have no end


class Value(NamedTuple):
    """The names below a function's parameters that an expression may be, such as ``self.config.dropout``.

    Args:
        given: it is one of these; a constant has none.
        computed: it is computed from these.
    """

    given: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()

    def attribute(self, name: str) -> Value:
        """Return the value of its attribute ``name``."""
        return Value(frozenset(f"{given}.{name}" for given in self.given if given.count(".") < DEEPEST), self.computed)

    def mixed(self) -> Value:
        """Return the value of something that is computed from it."""
        return Value(frozenset(), self.given | self.computed)

    def decided(self) -> Value:
        """Return the same, but a name in both, as after ``p *= 2`` under a condition, only as computed."""
        return Value(self.given - self.computed, self.computed)

    def where(self, bound: Mapping[str, Value]) -> Value:
        """Return its value for a caller whose arguments are ``bound``; the other parameters have their defaults."""
        parts = [_bound(name, bound) for name in self.given]
        parts += [_bound(name, bound).mixed() for name in self.computed]
        return union(parts)

    def below(self, root: str) -> Value:
        """Return the names below ``root``, without it."""
        given, computed = (
            frozenset(name.partition(".")[2] for name in names if name.startswith(f"{root}.")) for names in self
        )
        return Value(given, computed)


def union(values: Iterable[Value]) -> Value:
    """Return the value of something that may be any of ``values``."""
    given: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()
    for value in values:
        given, computed = given | value.given, computed | value.computed
    return Value(given, computed)


def _bound(name: str, bound: Mapping[str, Value]) -> Value:
    root, _, rest = name.partition(".")
    value = bound.get(root, Value())
    return value.attribute(rest) if rest else value
