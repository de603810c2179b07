"""`inventory`: every rate of a model as a row: who writes it, and whether it is in reach, or why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from adaptive_dropout.conversion.counterparts import p_of
from adaptive_dropout.conversion.found import find
from adaptive_dropout.conversion.functional_calls import Forward, watch
from adaptive_dropout.conversion.swap import check_plain
from adaptive_dropout.modules import Rated
from adaptive_dropout.rates import AttributeRate, Rate, named_rates

__all__ = ["Inventory", "Row", "inventory"]


class Row(NamedTuple):
    """One rate of a model.

    Args:
        name: its name in `get_rates`, now or once it is converted.
        kind: the layer, attribute or function that it belongs to.
        p: the present drop probability; None if a function draws a mask of its own.
        writer: who moves it.
        reachable: whether it is adjustable, or `convert` makes it so.
        why: how it is reached, or why not.
    """

    name: str
    kind: str
    p: float | None
    writer: str
    reachable: bool
    why: str


class Inventory(tuple[Row, ...]):
    """The rows of a model; ``print`` shows them as a table."""

    __slots__ = ()

    def unreachable(self) -> list[Row]:
        """Return the rows out of reach."""
        return [row for row in self if not row.reachable]

    def cells(self) -> list[tuple[str, ...]]:
        """Return the rows as text, below a row of headings."""
        shown = [
            (
                row.name,
                row.kind,
                "" if row.p is None else f"{row.p:g}",
                row.writer,
                "yes" if row.reachable else "no",
                row.why,
            )
            for row in self
        ]
        return [("name", "kind", "p", "writer", "reachable", "why"), *shown]

    def __str__(self) -> str:
        cells = self.cells()
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def inventory(model: nn.Module, *args: Any, **kwargs: Any) -> Inventory:
    """Return every rate of ``model``: those that are adjustable, those that `convert` reaches, and those out of reach.

    With an example input, a copy of the model runs on it once in training mode. Then functional dropout whose p is a
    number in the code is listed too, with the number of calls, and layers that are not called are out of reach. The
    model stays as it is.

    >>> print(inventory(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3))))
    name  kind     p    writer      reachable  why
    1     Dropout  0.3  nobody yet  yes        convert() puts a layer of ours there

    Args:
        model: any module, converted or not.
        *args: an example input: the positional arguments of a call of the model.
        **kwargs: the keyword arguments of that call.

    Raises:
        TypeError: the model is scripted or compiled.
    """
    check_plain(model)
    rows = [*_ours(model), *_others(model)]
    return Inventory(_watched(rows, model, watch(model, args, kwargs)) if args or kwargs else rows)


def _watched(rows: list[Row], model: nn.Module, forward: Forward) -> Iterator[Row]:
    layers = {layer.name for layer in find(model).layers}
    layers |= {name for name, module in model.named_modules() if isinstance(module, Rated)}
    for row in rows:
        idle = row.name in layers - forward.modules
        yield row._replace(reachable=False, why="the model does not call it on this input") if idle else row
    for call in forward.calls:
        why = f"called {call.times}x with a number in the code"
        yield Row(call.name, call.function, call.p, "its code", False, why)


def _ours(model: nn.Module) -> Iterator[Row]:
    layers = {id(module.rate): type(module).__name__ for module in model.modules() if hasattr(module, "rate")}
    rates: dict[str, Rate] = dict(named_rates(model))
    for name, rate in rates.items():
        if isinstance(rate, AttributeRate):
            kind = f"{type(rate.owner).__name__}.{rate.attribute}"
            yield Row(name, kind, rate.p, rate.writer, True, rate.how)
        else:
            yield Row(name, layers.get(id(rate), type(rate).__name__), rate.p, rate.writer, True, "a layer of ours")


def _others(model: nn.Module) -> Iterator[Row]:
    found = find(model)
    for layer in found.layers:
        kind = type(layer.layer).__name__
        yield Row(layer.name, kind, p_of(layer.layer), "nobody yet", True, "convert() puts a layer of ours there")
    for number in found.numbers:
        kind = f"{type(number.owner).__name__}.{number.attribute}"
        p = float(getattr(number.owner, number.attribute))
        where = "a copy, which the model gets" if number.routes else "place"
        yield Row(number.name, kind, p, "nobody yet", True, f"convert() writes it in {where}")
    for missed in found.missed:
        yield Row(missed.name, missed.kind, missed.p, "nobody", False, missed.why)
