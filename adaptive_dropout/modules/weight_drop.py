"""`WeightDrop`: drops parameters of any module while it runs; the module stays what it was.

Two hooks of the module do it: one lets it see dropped weights, the other takes them back, also after an error. The
parameters are never written. A recurrent layer of torch's hands a list of its weights to cuDNN, which wants them in one
piece of memory: dropped weights are laid out in a piece of their own, as the parameters are in theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from adaptive_dropout import functional as F
from adaptive_dropout.modules.base import NoiseLayer
from adaptive_dropout.rates import Rate
from adaptive_dropout.schedules import Schedule

__all__ = ["WeightDrop", "find_parameters"]


class WeightDrop(NoiseLayer):
    """Zero weights with probability p in training, multiply the others by 1 / (1 - p): DropConnect.

    `on` puts it into a module; called by itself it drops the elements of the weight that it is given. No gradient
    reaches p.

    >>> lstm = WeightDrop.on(nn.LSTM(8, 16), "weight_hh_l0", p=0.5)
    >>> type(lstm).__name__, lstm.weight_drop
    ('LSTM', WeightDrop(p=0.5))
    >>> sorted(lstm.state_dict())
    ['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0']

    Source: Wan et al. (2013); Merity, Keskar and Socher (2018), section 2.
    """

    names: tuple[str, ...] = ()
    """The parameters of the module that are dropped."""
    kept: dict[str, Tensor]
    """Those of them that are out of the module, while it runs."""

    @classmethod
    def on(
        cls, module: nn.Module, *names: str, p: float | Schedule | Rate = 0.5, slot: str = "weight_drop"
    ) -> nn.Module:
        """Drop parameters of ``module`` in each of its forward passes in training mode, all times alike; return it.

        The module keeps its class, its parameters and the keys of its ``state_dict``. The layer becomes its child
        ``slot``, which names the rate. Each forward pass draws new masks; evaluation uses the weights as they are.

        Args:
            module: anything that reads its own parameters in ``forward``. Those of a child are dropped by the child's
                own layer.
            *names: of parameters, or patterns, such as "weight_hh_l*" for all layers and directions of an `nn.LSTM`.
            p: drop probability in [0, 1], schedule or rate; modules may share a rate.
            slot: the name of the child; a second one, with another p for other parameters, needs another.

        Raises:
            KeyError: a name or pattern is that of no parameter of ``module`` itself.
            ValueError: no name is given, ``slot`` is taken, or a parameter is dropped already.
        """
        found = find_parameters(module, names)
        if hasattr(module, slot):
            raise ValueError(f"{type(module).__name__} already has {slot!r}; WeightDrop.off takes a WeightDrop out")
        twice = {name for drop in _drops(module) for name in drop.names} & set(found)
        if twice:
            raise ValueError(f"{sorted(twice)} of {type(module).__name__} would be dropped twice")
        drop = cls(p)
        drop.names = tuple(found)
        drop.kept = {}
        drop.to(getattr(module, found[0]).device)
        module.add_module(slot, drop.train(module.training))
        module.register_forward_pre_hook(_Enter(slot))
        # Before the hooks that are there, of which one may put other parameters into the module.
        module.register_forward_hook(_Leave(slot), prepend=True, always_call=True)
        return module

    @classmethod
    def off(cls, module: nn.Module) -> nn.Module:
        """Take every layer of this class out of ``module`` itself, and return it as it was.

        Raises:
            ValueError: there is none.
        """
        slots = [slot for slot, child in module._modules.items() if isinstance(child, cls)]
        if not slots:
            raise ValueError(f"{type(module).__name__} has no {cls.__name__} of its own to take out")
        for slot in slots:
            del module._modules[slot]
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key, hook in list(hooks.items()):
                if isinstance(hook, _OfSlot) and hook.slot in slots:
                    del hooks[key]
                    module._forward_hooks_always_called.pop(key, None)
        return module

    @property
    def acts(self) -> bool:
        """Whether the module sees other weights than its parameters now: in training mode."""
        return self.training

    def noise(self, x: Tensor, p: Tensor) -> Tensor:
        """Return `functional.weight_drop` of ``x``."""
        return F.weight_drop(x, p)


class _OfSlot:
    """A hook that finds its layer in the module that it gets, which may be a copy of the one it was made for."""

    def __init__(self, slot: str) -> None:
        self.slot = slot

    def layer(self, module: nn.Module) -> WeightDrop:
        layer = module._modules[self.slot]
        assert isinstance(layer, WeightDrop)
        return layer


class _Enter(_OfSlot):
    """Lets the module see dropped weights in place of its parameters."""

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        layer = self.layer(module)
        if not layer.acts:
            return
        if isinstance(module, nn.RNNBase):
            module._update_flat_weights()  # what its forward would do first, with parameters that were replaced
        pairs = [(name, getattr(module, name)) for name in layer.names]
        dropped = {name: made for name, weight in pairs if (made := layer(weight)) is not weight}
        if not dropped:
            return
        if isinstance(module, nn.RNNBase):
            object.__setattr__(module, "_flat_weights", _lay_out(module, dropped))
            return
        for name, weight in pairs:
            layer.kept.setdefault(name, weight)  # a module may run inside of itself
            _put(module, name, dropped.get(name, weight))


class _Leave(_OfSlot):
    """Gives the module its parameters back."""

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(module, nn.RNNBase):
            weights = [getattr(module, name, None) for name in module._flat_weights_names]
            object.__setattr__(module, "_flat_weights", weights)
            return
        kept = self.layer(module).kept
        for name, weight in kept.items():
            _put(module, name, weight)
        kept.clear()


def _put(module: nn.Module, name: str, weight: Tensor) -> None:
    # Not beside the parameter, as an attribute of its own: where a compiled pass deletes that, torch 2.12 deletes the
    # parameter, and earlier versions end the graph.
    if name in module._parameters:
        module._parameters[name] = weight  # type: ignore[assignment]
    else:  # in a replica of torch.nn.DataParallel
        object.__setattr__(module, name, weight)


def find_parameters(module: nn.Module, names: Sequence[str]) -> list[str]:
    """Return the parameters that the names and patterns mean, each once."""
    known = [name for name, weight in module._parameters.items() if weight is not None]
    if not names:
        raise ValueError(f"WeightDrop.on needs the names of parameters; {type(module).__name__} has {known}")
    found: list[str] = []
    for pattern in names:
        meant = [name for name in known if fnmatchcase(name, pattern)]
        if not meant:
            raise KeyError(f"{type(module).__name__} has no parameter {pattern!r} of its own; it has {known}")
        found += [name for name in meant if name not in found]
    return found


def _drops(module: nn.Module) -> list[WeightDrop]:
    return [child for child in module.children() if isinstance(child, WeightDrop)]


def _lay_out(module: nn.RNNBase, dropped: Mapping[str, Tensor]) -> list[Tensor]:
    """Return all weights of ``module``, ``dropped`` or not; in one piece of memory if its parameters are in one."""
    seen: Any = zip(module._flat_weights_names, module._flat_weights, strict=True)
    weights = [dropped.get(name, weight) for name, weight in seen]
    parameters = [getattr(module, name) for name in module._flat_weights_names]
    if not parameters[0].is_cuda or not _are_one_piece(parameters):
        return weights
    return list(_OnePiece.apply(parameters, *weights))


def _are_one_piece(tensors: Sequence[Tensor]) -> bool:
    storages = [tensor.untyped_storage().data_ptr() for tensor in tensors]
    return len(set(storages)) == 1


class _OnePiece(torch.autograd.Function):
    """Returns its inputs in new memory, laid out as other tensors that share one storage."""

    @staticmethod
    def forward(ctx: Any, like: Sequence[Tensor], *weights: Tensor) -> tuple[Tensor, ...]:
        storage = like[0].untyped_storage()
        memory = like[0].new_zeros(storage.nbytes() // like[0].element_size())
        places = [memory.as_strided(t.shape, t.stride(), t.storage_offset()) for t in like]
        torch._foreach_copy_(places, list(weights))
        return tuple(places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        return None, *gradients
