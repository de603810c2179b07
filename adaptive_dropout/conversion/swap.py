"""`convert` and `revert`: make the rates of a model that someone else wrote adjustable in place, and undo it."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import chain

import torch
from torch import nn

from adaptive_dropout.contexts import is_compiled, is_scripted
from adaptive_dropout.conversion.attention import fused_readers, give_forward_back, let_move
from adaptive_dropout.conversion.code import functions_called
from adaptive_dropout.conversion.config_copies import Copies, give_back
from adaptive_dropout.conversion.counterparts import counterpart_of, p_of, settings_of
from adaptive_dropout.conversion.found import Found, Layer, Number, find
from adaptive_dropout.modules import Dropout, NoiseLayer
from adaptive_dropout.modules.base import DropIn
from adaptive_dropout.rates import AttributeRate, Rate, named_rates
from adaptive_dropout.rates.attribute import AttentionRate

__all__ = ["adapt", "check_plain", "convert", "revert"]

Where = str | Callable[[str], bool]
LEDGER = "_before_convert"
"""Where a module keeps the layers that `convert` took out of it: ``{slot: layer}``, None for an added rate."""


def convert(
    model: nn.Module, where: Where = "*", to: type[NoiseLayer] = Dropout
) -> dict[str, NoiseLayer | AttributeRate]:
    """Make the dropout of ``model`` adjustable, in place, and return what now holds each rate, by name.

    Layers are replaced by ours: torch's ``nn.Dropout*`` and alpha dropout, the drop paths of timm, torchvision and
    transformers, and the identities that stand for a drop path, or for the dropout of an adapter such as PEFT's
    ``lora_dropout``, of 0. So are the DropBlocks of timm and torchvision, whose noise changes: ours loses the share p
    of a map, theirs more or less (see `functional.drop_block2d`); ``where`` leaves them out.

    Rates that modules keep as numbers and read at each forward (in attention, recurrent layers, Hugging Face and other
    models) get an `AttributeRate`; so do layers whose ``p`` is handed to fused attention, which then reads the rate as
    a tensor. A number counts as a rate if the code is seen to give it to a function that drops, whatever its name is.
    If it lies in a configuration that the model holds, the model gets a copy of the configuration to be written to, and
    the original stays as it is. `inventory` lists the rates, and those out of reach.

    Rates, devices, hooks, ``inplace``, training mode and shared layers stay as they are, and so do the keys of the
    ``state_dict``. Everything is checked before the first layer is swapped. Rates that are already adjustable are left
    alone.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3))
    >>> convert(model)
    {'1': Dropout(p=0.3, inplace=False)}
    >>> revert(model)[1]
    Dropout(p=0.3, inplace=False)

    Args:
        model: any module; convert it before ``torch.compile``.
        where: which rates, as a glob on their names or a function of the name.
        to: the class for each ``nn.Dropout``, such as `GaussianDropout`. Other layers keep their kind of noise.

    Raises:
        TypeError: the model is scripted or compiled, or ``to`` is not one of our layers.
        ValueError: no dropout can be reached, ``where`` matches none, the model itself is a dropout layer, or ``to``
            has no layer to replace or cannot start at its rate.
    """
    _check_layer(to)
    check_plain(model)
    found = _selected(model, where)
    if to is not Dropout and found.names() and not any(layer.counterpart is Dropout for layer in found.layers):
        raise ValueError(f"to={to.__name__} is for nn.Dropout, of which there is none among {found.names()}")
    return adapt(model, found, to)


def adapt(model: nn.Module, found: Found, to: type[NoiseLayer] = Dropout) -> dict[str, NoiseLayer | AttributeRate]:
    """Make the dropout that was ``found`` in ``model`` adjustable; there may be none. Compiled code compiles again.

    Raises:
        ValueError: ``to`` cannot start at a rate of the model; nothing is changed.
    """
    made = {layer.name: _make(layer, to, model) for layer in found.layers}
    copies = Copies(route for number in found.numbers for route in number.routes)
    rates = {number.name: _rate(number, _owner(number, copies)) for number in found.numbers}
    copies.hand_out(model)
    for layer in found.layers:
        for parent, slot in layer.slots:
            _put(parent, slot, made[layer.name], layer.layer)
    for number in found.numbers:
        rate = rates[number.name].to(_device(number.home, model))
        _put(number.home, number.slot, rate, None)
        for module in fused_readers(number) if isinstance(rate, AttentionRate) else ():
            let_move(module, rate)
    return made | rates


def revert(model: nn.Module) -> nn.Module:
    """Put back the very layers and numbers that `convert` replaced, with their former rates, and return ``model``.

    The layers that come back take over the present training mode.

    Raises:
        ValueError: nothing of ``model`` was converted.
    """
    ledgers = [(module, vars(module).pop(LEDGER)) for module in list(model.modules()) if LEDGER in vars(module)]
    if not ledgers:
        raise ValueError(f"nothing in {type(model).__name__} was converted; convert(model) comes first")
    for module, ledger in ledgers:
        for slot, layer in ledger.items():
            ours = module._modules[slot]
            if layer is None:
                del module._modules[slot]
                ours.give_back()  # type: ignore[union-attr, operator]
            else:
                module._modules[slot] = layer.train(ours.training)  # type: ignore[union-attr]
    for module in model.modules():
        give_forward_back(module)
    give_back(model)
    return model


def check_plain(model: nn.Module) -> None:
    """Raise a TypeError if ``model`` is scripted or compiled, even in part: it no longer runs its modules."""
    for path, module in model.named_modules():
        where = f"{path or 'the model'} is "
        if is_scripted(module):
            raise TypeError(f"{where}scripted, and its code is fixed; convert the model before torch.jit")
        if is_compiled(module):
            raise TypeError(f"{where}compiled; convert the model first, then torch.compile it")


def _check_layer(to: object) -> None:
    if not (isinstance(to, type) and issubclass(to, NoiseLayer)):
        raise TypeError(f"to has to be a class such as GaussianDropout, but got {to!r}")


def _selected(model: nn.Module, where: Where) -> Found:
    if counterpart_of("", model) is not None:
        raise ValueError(f"the model itself is {model!r}, which has no place to be swapped in; put it in nn.Sequential")
    found = find(model)
    ours = [name for name, _ in named_rates(model)]
    if not found.names() and not ours:
        raise ValueError(_nothing(model, found))
    chosen = where if callable(where) else lambda name: fnmatchcase(name, where)
    layers, numbers = [f for f in found.layers if chosen(f.name)], [f for f in found.numbers if chosen(f.name)]
    if not layers and not numbers and not any(map(chosen, ours)):
        raise ValueError(f"where={where!r} matches none of the rates {sorted([*found.names(), *ours])}")
    return Found(layers, numbers, found.missed)


def _nothing(model: nn.Module, found: Found) -> str:
    """Return the error message for a ``model`` without dropout in reach: what it has instead."""
    name = type(model).__name__
    if found.missed:
        return f"{name} has no rate to adjust; {found.missed[0].name or name}: {found.missed[0].why}"
    calls = {type(module).__name__: functions_called(module) for module in model.modules()}
    if calling := {kind: names for kind, names in calls.items() if names}:
        kind, names = next(iter(calling.items()))
        return f"{name} has no rate to adjust: {kind} calls {names[0]} with a number in its code; give it nn.Dropout"
    return f"{name} has no dropout; its modules are {sorted(calls)}"


def _make(found: Layer, to: type[NoiseLayer], model: nn.Module) -> NoiseLayer:
    layer, (parent, _) = found.layer, found.slots[0]
    kind = to if found.counterpart is Dropout else found.counterpart
    try:
        ours = kind(p_of(layer), **settings_of(layer))
    except ValueError as error:
        raise ValueError(f"{found.name} cannot become {kind.__name__}: {error}") from error
    if isinstance(ours, DropIn):
        ours.inplace = bool(getattr(layer, "inplace", False))
    _share_hooks(layer, ours)
    return ours.to(_device(parent, model)).train(layer.training)


def _share_hooks(layer: nn.Module, ours: NoiseLayer) -> None:
    """Give ``ours`` the very dictionaries that hold the hooks of ``layer``: users' handles remove hooks from them.

    Raises:
        RuntimeError: this version of torch keeps hooks elsewhere.
    """
    shared = {name: value for name, value in vars(layer).items() if "hook" in name}
    if not {"_forward_hooks", "_forward_pre_hooks", "_backward_hooks"} <= shared.keys():
        raise RuntimeError(f"torch {torch.__version__} keeps the hooks of a layer where convert does not find them")
    vars(ours).update(shared)


def _rate(number: Number, owner: object) -> AttributeRate:
    return (AttentionRate if fused_readers(number) else AttributeRate)(owner, number.attribute)


def _owner(number: Number, copies: Copies) -> object:
    return copies.at_end(number.routes[0]) if number.routes else number.owner


def _put(parent: nn.Module, slot: str, ours: NoiseLayer | Rate, before: nn.Module | None) -> None:
    vars(parent).setdefault(LEDGER, {})[slot] = before
    parent._modules[slot] = ours


def _device(parent: nn.Module, model: nn.Module) -> torch.device | None:
    tensors = chain(parent.parameters(), parent.buffers(), model.parameters(), model.buffers())
    return next((tensor.device for tensor in tensors), None)
