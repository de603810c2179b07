"""What sounds like dropout and is none that `convert` knows: it is listed, so that nothing is missed silently."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from adaptive_dropout.conversion.numbers import Missed, says_rate
from adaptive_dropout.conversion.places import as_p, join
from adaptive_dropout.modules import NoiseLayer
from adaptive_dropout.rates import Rate

__all__ = ["unrecognised"]

LAYER = "not recognised: it sounds like dropout, and its code is seen to drop nothing; put a layer of ours there"
SEVERAL = "not recognised: several numbers in one; read numbers of the module's own, as in self.dropout = dropout"
TENSOR = "not recognised: a tensor; read a number of the module's own, as in self.dropout = dropout"
FUNCTION = "not recognised: a function; put a layer of ours there"

CLASSES = re.compile("drop|stochastic_?depth|zoneout|shakeshake", re.IGNORECASE)
SLOTS = re.compile("(^|_)(drop|stochastic_depth|zoneout)", re.IGNORECASE)


def unrecognised(modules: Sequence[tuple[str, nn.Module]], known: set[str], readers: set[int]) -> Iterator[Missed]:
    """Yield what sounds like dropout in ``modules``, and is not accounted for.

    Args:
        modules: those without the layers that are swapped, each with its name.
        known: the names of all rates, in reach or not.
        readers: the ids of modules that read a rate which belongs to another one.
    """
    covered = set(known)
    for path, module in reversed(modules):  # the innermost first: a module is accounted for by what it holds
        if _is_noise(path, module) and id(module) not in readers and not _holds(path, module, covered):
            covered.add(path)
            yield Missed(path, type(module).__name__, _only_p(module), LAYER)
    for path, module in modules:
        for name, value in (vars(module) | module._buffers | module._parameters).items():
            full = join(path, name)
            why = _why(value) if says_rate(name) and not any(each.startswith(full) for each in known) else ""
            if why:
                yield Missed(full, type(value).__name__, None, why)


def _is_noise(path: str, module: nn.Module) -> bool:
    """Return whether the class, or what the parent calls ``module``, sounds like dropout."""
    empty = type(module) is nn.Identity or (isinstance(module, (nn.ModuleDict, nn.ModuleList)) and not len(module))
    if empty or (not path and module._modules):  # the name of a whole model says little
        return False
    called = SLOTS.search(path.rpartition(".")[2]) and not any(True for _ in module.parameters())
    return bool(called or CLASSES.search(type(module).__name__))


def _holds(path: str, module: nn.Module, covered: set[str]) -> bool:
    """Return whether ``module`` is accounted for: it is, or holds, something ``covered``, or one of our rates."""
    ours = any(isinstance(each, (NoiseLayer, Rate)) for each in module.modules())
    return ours or path in covered or any(name.startswith(f"{path}.") for name in covered)


def _only_p(module: nn.Module) -> float | None:
    numbers = [p for value in vars(module).values() if (p := as_p(value)) is not None]
    return numbers[0] if len(numbers) == 1 else None


def _why(value: object) -> str:
    """Return why a rate that is held as ``value`` is out of reach; "" if it is none."""
    if isinstance(value, (list, tuple, Mapping)) and value:
        parts = list(value.values() if isinstance(value, Mapping) else value)
        return SEVERAL if all(as_p(part) is not None for part in parts) else ""
    if isinstance(value, Tensor):
        return TENSOR if value.is_floating_point() else ""
    return FUNCTION if callable(value) and not isinstance(value, (type, nn.Module)) else ""
