"""What an expression is made of: dotted names that it is, and dotted names that it is computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["Value", "joined"]

DEEPEST = 5  # attributes of attributes: ``node = node.next`` would have no end


class Value(NamedTuple):
    """The names below a function's parameters that an expression may be, such as ``self.config.dropout``.

    Args:
        given: it is one of these; of a constant there are none.
        computed: it is computed from these.
    """

    given: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()

    def attribute(self, name: str) -> Value:
        """Return what the attribute ``name`` of it is."""
        return Value(frozenset(f"{given}.{name}" for given in self.given if given.count(".") < DEEPEST), self.computed)

    def mixed(self) -> Value:
        """Return what is computed from it."""
        return Value(frozenset(), self.given | self.computed)

    def decided(self) -> Value:
        """Return the same with a name that is both, as after ``p *= 2`` under a condition, computed only."""
        return Value(self.given - self.computed, self.computed)

    def where(self, bound: Mapping[str, Value]) -> Value:
        """Return what it is to a caller who gave the parameters these values; others have their defaults."""
        parts = [_bound(name, bound) for name in self.given]
        parts += [_bound(name, bound).mixed() for name in self.computed]
        return joined(parts)

    def below(self, root: str) -> Value:
        """Return the names below ``root``, without it."""
        given, computed = (
            frozenset(name.partition(".")[2] for name in names if name.startswith(f"{root}.")) for names in self
        )
        return Value(given, computed)


def joined(values: Iterable[Value]) -> Value:
    """Return what one of ``values`` is, whichever."""
    given: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()
    for value in values:
        given, computed = given | value.given, computed | value.computed
    return Value(given, computed)


def _bound(name: str, bound: Mapping[str, Value]) -> Value:
    root, _, rest = name.partition(".")
    value = bound.get(root, Value())
    return value.attribute(rest) if rest else value
