"""What drops in a model: layers that can be swapped, numbers that can be written, and what is out of reach, and why.

A number counts as a rate where its name says so and the forward of its module reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from adaptive_dropout.conversion.reads import names_read
from adaptive_dropout.conversion.twins import attribute_of, twin_of
from adaptive_dropout.modules import NoiseLayer
from adaptive_dropout.rates import AttributeRate, Rate

__all__ = ["Found", "Layer", "Missed", "Number", "find"]

COPIED = "forward does not read it: the layers took a copy when they were built"
NO_LAYER = "a rate of 0 left no layer here; build the model with a rate above 0"
ONE_LAYER = "it drops between stacked layers, and there is one; build it with num_layers of 2 or more"
# timm's have room for a layer that its models never put there, 49 times in an EfficientNet-B0.
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


class Layer(NamedTuple):
    """A dropout layer that one of ours can stand in for; ``slots`` are the parents that call it, and how."""

    name: str
    layer: nn.Module
    slots: list[tuple[nn.Module, str]]


class Number(NamedTuple):
    """A rate kept in ``owner.attribute``; as a rate of ours it is the submodule ``slot`` of ``home``."""

    name: str
    home: nn.Module
    slot: str
    owner: object
    attribute: str


class Missed(NamedTuple):
    """A rate that cannot be moved, and why."""

    name: str
    kind: str
    p: float
    why: str


class Found(NamedTuple):
    """All of a model, each in the order of its modules."""

    layers: list[Layer]
    numbers: list[Number]
    missed: list[Missed]

    def names(self) -> list[str]:
        """Return the names of what can be made adjustable."""
        return [layer.name for layer in self.layers] + [number.name for number in self.numbers]


def find(model: nn.Module) -> Found:
    """Return what drops in ``model`` and is not adjustable yet."""
    layers = _layers(model)
    swapped = {id(layer.layer) for layer in layers}
    rest = [(path, module) for path, module in _foreign(model) if id(module) not in swapped]
    owned = {(id(rate.owner), rate.attribute) for rate in model.modules() if isinstance(rate, AttributeRate)}
    numbers: dict[tuple[int, str], Number] = {}
    for path, module in rest:
        for number in _numbers(path, module):
            key = (id(number.owner), number.attribute)
            if key not in owned:
                numbers.setdefault(key, number)
    return Found(layers, list(numbers.values()), [m for path, at in rest for m in _missed(path, at)])


def _foreign(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((path, module) for path, module in model.named_modules() if not isinstance(module, (NoiseLayer, Rate)))


def _layers(model: nn.Module) -> list[Layer]:
    kept = _read_by_others(model)
    slots: dict[int, list[tuple[nn.Module, str]]] = {}
    for _, module in _foreign(model):
        for slot, child in module._modules.items():
            if child is not None and twin_of(slot, child) and id(child) not in kept:
                slots.setdefault(id(child), []).append((module, slot))
    # named_modules() calls a shared layer as named_rates() will.
    return [Layer(path, module, slots[id(module)]) for path, module in _foreign(model) if id(module) in slots]


def _read_by_others(model: nn.Module) -> set[int]:
    """Return the layers whose p their parent hands to fused attention, as in ``dropout_p=self.attn_drop.p``.

    They keep the number: compiled code would break at the property of ours.
    """
    return {
        id(child)
        for _, module in _foreign(model)
        for slot, child in module._modules.items()
        if child is not None and twin_of(slot, child) and f"{slot}.{attribute_of(child)}" in names_read(module)
    }


def _numbers(path: str, module: nn.Module) -> Iterator[Number]:
    for name in sorted(names_read(module)):
        where, _, attribute = name.rpartition(".")
        owner = vars(module).get(where) if where else module
        if owner is None or not _is_rate(owner, attribute) or _drops_nothing(module):
            continue
        layer_like = not where and attribute in ("p", "prob", "drop_prob")
        called = name.replace(".", "_")
        slot = "rate" if layer_like else f"{called}_rate"
        yield Number(path if layer_like else _join(path, called), module, slot, owner, attribute)


def _missed(path: str, module: nn.Module) -> Iterator[Missed]:
    read = names_read(module)
    for name, value in vars(module).items():
        if value is None and "drop" in name and name in read:
            yield Missed(_join(path, name), "None", 0.0, NO_LAYER)
        elif _is_rate(module, name) and (name not in read or _drops_nothing(module)):
            why = COPIED if name not in read else ONE_LAYER
            yield Missed(_join(path, name), type(module).__name__, float(value), why)
    if isinstance(module, NORMS):
        return
    for slot, child in module._modules.items():
        if type(child) is nn.Identity and "drop" in slot and twin_of(slot, child) is None:
            yield Missed(_join(path, slot), "Identity", 0.0, NO_LAYER)


def _is_rate(owner: object, attribute: str) -> bool:
    """Tell whether ``owner.attribute`` is called as rates are, and is a number in [0, 1]."""
    classes = " ".join(base.__name__.lower() for base in type(owner).__mro__)
    drops = "drop" in classes or "stochasticdepth" in classes
    if "drop" not in attribute.lower() and not (attribute in ("p", "prob") and drops):
        return False
    # Of a module its own dictionary: a property is computed from something else.
    value = vars(owner).get(attribute) if isinstance(owner, nn.Module) else getattr(owner, attribute, None)
    return type(value) in (int, float) and 0.0 <= value <= 1.0  # type: ignore[operator]


def _drops_nothing(module: nn.Module) -> bool:
    return isinstance(module, nn.RNNBase) and module.num_layers == 1


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
