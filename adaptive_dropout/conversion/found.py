"""Finding the dropout of a model: layers to swap, numbers to write, and what is out of reach, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from adaptive_dropout.conversion.code import names_read
from adaptive_dropout.conversion.config_copies import why_not_written
from adaptive_dropout.conversion.counterparts import attribute_of, counterpart_of
from adaptive_dropout.conversion.numbers import Missed, Number, given, numbers_of
from adaptive_dropout.conversion.places import join, place_of
from adaptive_dropout.conversion.unrecognised import unrecognised
from adaptive_dropout.modules import NoiseLayer, Rated
from adaptive_dropout.rates import AttributeRate, Rate

__all__ = ["Found", "Layer", "Missed", "Number", "find"]

NO_LAYER = "a rate of 0 left no layer here; build the model with a rate above 0"
# timm's norms have room for a dropout layer that its models never put there, 49 times in an EfficientNet-B0.
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


class Layer(NamedTuple):
    """A dropout layer and our class for it; each of ``slots`` is a parent that holds it, and its name there."""

    name: str
    layer: nn.Module
    counterpart: type[NoiseLayer]
    slots: list[tuple[nn.Module, str]]


class Found(NamedTuple):
    """The dropout of a model; each list is in the order of its modules."""

    layers: list[Layer]
    numbers: list[Number]
    missed: list[Missed]

    def names(self) -> list[str]:
        """Return the names of the rates that can be made adjustable."""
        return [layer.name for layer in self.layers] + [number.name for number in self.numbers]


def find(model: nn.Module) -> Found:
    """Return the dropout of ``model`` that is not adjustable yet."""
    layers = _layers(model)
    swapped = {id(layer.layer) for layer in layers}
    rest = [(path, module) for path, module in _foreign(model) if id(module) not in swapped]
    entries = [entry for path, module in rest for entry in (*numbers_of(path, module), *_empty_places(path, module))]
    rates = [entry for entry in entries if isinstance(entry, Number)]
    names = {number.name for number in rates}  # a number that its own module misses may be read by another
    missed = [entry for entry in entries if isinstance(entry, Missed) and entry.name not in names]
    numbers = []
    for number in _merge_routes(model, rates):
        number.readers.extend(_parents_that_read(model, number))
        why = why_not_written(number.owner, number.attribute, number.routes) if number.routes else ""
        if why:
            p = float(getattr(number.owner, number.attribute))
            missed.append(Missed(number.name, type(number.owner).__name__, p, why))
        else:
            numbers.append(number)
    known = {layer.name for layer in layers} | {entry.name for entry in entries}
    readers = {id(module) for number in rates for module, _ in number.readers}
    missed += unrecognised(rest, known, readers)
    return Found(layers, numbers, missed)


def _foreign(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((path, module) for path, module in model.named_modules() if not isinstance(module, (Rated, Rate)))


def _layers(model: nn.Module) -> list[Layer]:
    kept = _read_by_others(model)
    layers: dict[int, Layer] = {}
    for path, module in _foreign(model):
        for slot, child in module._modules.items():
            counterpart = counterpart_of(_called(path, module, slot), child, module)
            if child is not None and counterpart and id(child) not in kept:
                layers.setdefault(id(child), Layer("", child, counterpart, [])).slots.append((module, slot))
    # named_modules() calls a shared layer as named_rates() will.
    return [layers[id(module)]._replace(name=path) for path, module in _foreign(model) if id(module) in layers]


def _read_by_others(model: nn.Module) -> set[int]:
    """Return the layers whose p their parent hands to fused attention, as in ``dropout_p=self.attn_drop.p``.

    They are not swapped, because compiled code would break at the property ``p`` of our layers.
    """
    children = [
        (module, slot, child)
        for _, module in _foreign(model)
        for slot, child in module._modules.items()
        if child is not None and counterpart_of(slot, child)
    ]
    kept = {id(child) for module, slot, child in children if f"{slot}.{attribute_of(child)}" in names_read(module)}
    ways = [(module, place_of(path, module, name)) for path, module in _foreign(model) for name in given(module)]
    return kept | {id(place.module) for module, place in ways if place and place.module is not module}


def _merge_routes(model: nn.Module, found: list[Number]) -> list[Number]:
    """Return each number that is not adjustable yet once, with all modules that read it."""
    owned = {(id(rate.owner), rate.attribute) for rate in model.modules() if isinstance(rate, AttributeRate)}
    numbers: dict[tuple[int, str], Number] = {}
    for number in found:
        key = (id(number.owner), number.attribute)
        if key not in owned and numbers.setdefault(key, number) is not number:
            numbers[key].routes.extend(number.routes)
            numbers[key].readers.extend(number.readers)
    return list(numbers.values())


def _parents_that_read(model: nn.Module, number: Number) -> Iterator[tuple[nn.Module, str]]:
    """Yield the modules that read the ``number`` of a dropout layer below them, if only by its name."""
    for _, module in _foreign(model):
        for slot, child in module._modules.items():
            dotted = f"{slot}.{number.attribute}"
            known = any(reader is module for reader, _ in number.readers)
            if child is number.owner and not known and dotted in names_read(module):
                yield module, dotted


def _empty_places(path: str, module: nn.Module) -> Iterator[Missed]:
    """Yield the places for a dropout layer that a rate of 0 left empty."""
    for name, value in vars(module).items():
        if value is None and "drop" in name and name in names_read(module):
            yield Missed(join(path, name), "None", 0.0, NO_LAYER)
    for slot, child in module._modules.items():
        called, nothing = _called(path, module, slot), type(child) is nn.Sequential and not len(child)
        left = (type(child) is nn.Identity or nothing) and "drop" in called
        if left and not isinstance(module, NORMS) and counterpart_of(called, child, module) is None:
            yield Missed(join(path, slot), type(child).__name__, 0.0, NO_LAYER)


def _called(path: str, module: nn.Module, slot: str) -> str:
    """Return what the code calls the child ``slot`` of ``module``: PEFT has one for each adapter, in a dictionary."""
    return path.rpartition(".")[2] if isinstance(module, (nn.ModuleDict, nn.ModuleList)) else slot
