"""Which numbers of a module are rates; and for numbers that look like rates but are not, the reason.

A number is a rate if the code is seen to give it to a function that drops. In a few packages, whose code is known, it
is also a rate if its name says so and forward reads it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from adaptive_dropout.conversion.code import Uses, names_read, uses
from adaptive_dropout.conversion.config_copies import HYPERPARAMETERS, Route
from adaptive_dropout.conversion.places import Place, as_p, join, place_of
from adaptive_dropout.rates import AttributeRate

__all__ = ["Missed", "Number", "given", "numbers_of", "says_rate"]

COPIED = "forward does not read it: the layers took a copy when they were built"
ONE_LAYER = "it drops between stacked layers, and there is one; build it with num_layers of 2 or more"
NOT_GIVEN = "the code gives it to no function that drops, such as F.dropout"
COMPUTED = "the code computes a probability from it; only the probability itself can be moved"
WRITTEN = "the code writes it itself"
NO_SOURCE = "without its source nobody can see what it is for"
OTHER = "its name says that it is something else"
INTEGER = "an integer may be a count; write it with a decimal point"
HPARAMS = "hparams are saved, so they stay; read a number of the module's own, as in self.dropout = dropout"
ON_CLASS = "a property, or a number of the class; read a number of the module's own, as in self.dropout = dropout"
ITEM = "an item and no attribute; read a number of the module's own, as in self.dropout = dropout"

TORCH = "torch.nn."
KNOWN = (TORCH, "transformers.", "timm.", "torchvision.", "peft.", "torchtune.", "fastai.", "pl_bolts.")
PLAIN_NAMES = ("p", "prob", "embed_p", "weight_p")  # of rates in classes that do nothing but drop; two are fastai's
# Words in names with "drop" that are not rates: fractions kept, guidance by class or condition, counts.
OTHERS = re.compile(r"(^|_)(keep|class(es)?(_|$)|(un)?cond|label|num|count|threshold)", re.IGNORECASE)


class Number(NamedTuple):
    """A rate kept in ``owner.attribute``; as one of our rates it becomes the submodule ``slot`` of ``home``.

    If the owner is a configuration, ``routes`` lists every module that reads it. ``readers`` are the modules whose code
    reads it, each with the dotted name there.
    """

    name: str
    home: nn.Module
    slot: str
    owner: object
    attribute: str
    routes: list[Route]
    readers: list[tuple[nn.Module, str]]


class Missed(NamedTuple):
    """A rate that cannot be moved, or a number that only looks like one, and why; ``p`` where it is known."""

    name: str
    kind: str
    p: float | None
    why: str


def given(module: nn.Module) -> frozenset[str]:
    """Return the dotted names below ``self`` that the code of ``module`` gives to functions that drop."""
    return _code(module).given


def numbers_of(path: str, module: nn.Module) -> Iterator[Number | Missed]:
    """Yield the numbers of ``module``, which the model calls ``path``, that are rates, or look like rates."""
    rates = given(module) | _called_rates(module)
    for dotted in sorted(rates):
        if place := place_of(path, module, dotted):
            yield from _rate(place, module, dotted)
    read, computed = names_read(module), _code(module).computed
    for dotted in sorted(({name for name in read if _says_drop(name)} | computed) - rates):
        place = place_of(path, module, dotted)
        if place and place.module is module and as_p(place.value) is not None:
            yield Missed(place.name, type(place.owner).__name__, None, _why_no_rate(module, dotted))
    for name, value in vars(module).items():
        copied = name not in read | rates and says_rate(name) and isinstance(value, float)
        if copied and (p := as_p(value)) is not None:
            yield Missed(join(path, name), type(module).__name__, p, COPIED)


def _code(module: nn.Module) -> Uses:
    kind: type = type(module)
    return uses(kind)


def _called_rates(module: nn.Module) -> set[str]:
    """Return the names of the rates that code of a known package reads."""
    read = {name for package in KNOWN for name in names_read(module, package)}
    return {name for name in read if says_rate(name) or (name in PLAIN_NAMES and _is_all_dropout(module))}


def _rate(place: Place, module: nn.Module, dotted: str) -> Iterator[Number | Missed]:
    """Yield the rate that the code of ``module`` reads in ``place``, if there is one."""
    why, p = _why_missed(place, module, dotted), as_p(place.value)
    if why:
        yield Missed(place.name, type(place.owner or place.module).__name__, p, why)
    elif p is not None:
        yield _number(place, (module, dotted))


def _number(place: Place, reader: tuple[nn.Module, str]) -> Number:
    module, called = place.module, "_".join((*place.names, place.attribute))
    routes = [(module, place.names)] if place.names else []
    own = next((name for name in ("p", "prob", "drop_prob") if name in vars(module)), "")
    if place.path and not place.names and place.attribute == own and _is_all_dropout(module) and _free(place, "rate"):
        return Number(place.path, module, "rate", module, own, routes, [reader])
    while not _free(place, f"{called}_rate"):
        called += "_p"
    return Number(join(place.path, called), module, f"{called}_rate", place.owner, place.attribute, routes, [reader])


def _why_missed(place: Place, module: nn.Module, dotted: str) -> str:
    """Return why the rate in ``place`` cannot be moved; "" if it can, or if there is none."""
    code, way = _code(module), (*place.names, place.attribute)
    if way[0] in HYPERPARAMETERS:
        return HPARAMS
    if as_p(place.value) is not None:
        by_name = dotted not in code.given and dotted not in names_read(module, TORCH)
        if dotted in code.written:
            return WRITTEN
        if by_name and isinstance(place.value, int):
            return INTEGER
        return ONE_LAYER if isinstance(module, nn.RNNBase) and module.num_layers == 1 else ""
    if dotted not in code.given:
        return ""
    if way[0] in vars(place.module):
        return ITEM if "[" in dotted else ""
    of_class = isinstance(inspect.getattr_static(type(place.module), way[0], None), (property, int, float))
    return HPARAMS if way[0] == "hparams" else ON_CLASS if of_class else ""


def _why_no_rate(module: nn.Module, dotted: str) -> str:
    code = _code(module)
    if dotted in code.computed:
        return COMPUTED
    if any(dotted in names_read(module, package) for package in KNOWN):
        return OTHER
    return NOT_GIVEN if code.known else NO_SOURCE


def _says_drop(dotted: str) -> bool:
    return "drop" in dotted.rpartition(".")[2].lower()


def says_rate(dotted: str) -> bool:
    """Tell whether ``dotted`` sounds like a drop probability."""
    return _says_drop(dotted) and not OTHERS.search(dotted.rpartition(".")[2])


def _is_all_dropout(module: nn.Module) -> bool:
    """Tell whether the class has no other purpose than dropping."""
    classes = " ".join(base.__name__.lower() for base in type(module).__mro__)
    return "drop" in classes or "stochasticdepth" in classes


def _free(place: Place, slot: str) -> bool:
    """Tell whether the module has room for a rate called ``slot``, or holds this very rate there."""
    module = place.module
    rate = module._modules.get(slot)
    if isinstance(rate, AttributeRate) and rate.owner is place.owner and rate.attribute == place.attribute:
        return True
    held = (vars(module), module._modules, module._parameters, module._buffers)
    return not any(slot in each for each in held) and not hasattr(type(module), slot)
