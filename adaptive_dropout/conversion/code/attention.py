"""Whether a class uses a number as the p of fused attention, and for nothing else: read from its source."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from adaptive_dropout.conversion.code.functions import entries, method_of, tree_of

__all__ = ["AttentionUse", "attention_use"]


class AttentionUse(NamedTuple):
    """How the code of a class uses a number below ``self``.

    Args:
        handed: fused attention gets it as its drop probability, and nothing else gets it.
        layer_called: the methods that call the dropout layer to which the number belongs.
    """

    handed: bool
    layer_called: frozenset[str]


@functools.cache
def attention_use(kind: type, dotted: str) -> AttentionUse:
    """Return how the methods of ``kind`` use ``self.dotted``; with another entry than forward, nothing is known."""
    names = {name for base in kind.__mro__ if base not in nn.Module.__mro__ for name in vars(base)} - {"__init__"}
    methods = [method for name in sorted(names) if (method := method_of(kind, name))]
    trees = {method.function.__name__: tree_of(method.function) for method in methods}
    if None in trees.values() or [method.function.__name__ for method in entries(kind)] != ["forward"]:
        return AttentionUse(False, frozenset())
    nodes = [(name, node) for name, tree in trees.items() if tree is not None for node in ast.walk(tree)]
    calls = [(name, node) for name, node in nodes if isinstance(node, ast.Call)]
    uses = sum(_dotted(node) == f"self.{dotted}" for _, node in nodes)
    given = [given for _, call in calls for given in _given(call)]
    handed = sum(_dotted(node) == f"self.{dotted}" for each in given for node in ast.walk(each))
    layer = f"self.{dotted.rpartition('.')[0]}"
    return AttentionUse(0 < uses == handed, frozenset(name for name, call in calls if _dotted(call.func) == layer))


def _given(call: ast.Call) -> Iterator[ast.expr]:
    """Yield the drop probability that fused attention gets through ``call``.

    Transformers' functions get the module first, and the probability as ``dropout``.
    """
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if _dotted(call.func).rpartition(".")[2] == "scaled_dot_product_attention":
        yield from [keywords["dropout_p"]] if "dropout_p" in keywords else call.args[4:5]
    elif call.args and _dotted(call.args[0]) == "self" and "dropout" in keywords:
        yield keywords["dropout"]


def _dotted(node: ast.AST) -> str:
    """Return ``node`` as a dotted name; "" if it is something else."""
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return before and f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
