"""What the code of a class uses the numbers of its instances for, read from the source of the methods that run it."""

from __future__ import annotations

import functools
from typing import NamedTuple

from adaptive_dropout.conversion.reader import read
from adaptive_dropout.conversion.source import entries
from adaptive_dropout.conversion.values import joined

__all__ = ["Uses", "uses"]

DEPTH = 6  # of helpers that call helpers


class Uses(NamedTuple):
    """Dotted names below ``self``, by what the code does with them.

    Args:
        given: a function that drops is given them as its probability, as they are.
        computed: what such a function is given is computed from them.
        written: the code assigns to them.
        known: whether the source is there.
    """

    given: frozenset[str]
    computed: frozenset[str]
    written: frozenset[str]
    known: bool


@functools.cache
def uses(kind: type) -> Uses:
    """Return what a module of the class ``kind`` does with its numbers.

    >>> from torch import nn
    >>> uses(nn.Dropout).given
    frozenset({'p'})
    """
    methods = entries(kind)
    reads = [read(method, DEPTH) for method in methods]
    own = [method.parameters[0] if method.bound and method.parameters else "" for method in methods]
    dropped = joined(done.dropped.below(me) for done, me in zip(reads, own, strict=True))
    written = joined(done.written.below(me) for done, me in zip(reads, own, strict=True))
    return Uses(dropped.given, dropped.computed - dropped.given, written.given, all(done.known for done in reads))
