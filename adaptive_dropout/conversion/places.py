"""Where a dotted name in the code leads: to a number of a module, or of a configuration that the module holds."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

from torch import nn

from adaptive_dropout.modules import Rated
from adaptive_dropout.rates import Rate

__all__ = ["Place", "as_p", "join", "place_of"]


class Place(NamedTuple):
    """An attribute of a module, or of a configuration that its attributes lead to.

    Args:
        path: the name of the module.
        module: the module.
        names: the attributes that lead from it to a configuration; none if it holds the number itself.
        attribute: the name of the number there.
    """

    path: str
    module: nn.Module
    names: tuple[str, ...]
    attribute: str

    @property
    def owner(self) -> object | None:
        """The module, or the configuration object that holds the attribute; None for anything else."""
        if not self.names:
            return self.module
        try:
            # From its own dictionary, because a property is computed from something else.
            owner = reduce(getattr, self.names[1:], vars(self.module).get(self.names[0]))
        except Exception:  # of any kind: it is other people's code that runs
            return None
        return None if isinstance(owner, nn.Module) else owner

    @property
    def value(self) -> object | None:
        """The value of the attribute; None if there is none."""
        owner = self.owner
        if isinstance(owner, nn.Module):
            return vars(owner).get(self.attribute)
        try:
            return getattr(owner, self.attribute, None)
        except Exception:  # of any kind: it is other people's code that runs
            return None

    @property
    def name(self) -> str:
        """Its name in inventories."""
        return join(self.path, "_".join((*self.names, self.attribute)).replace("[", "").replace("]", ""))


def place_of(path: str, module: nn.Module, dotted: str) -> Place | None:
    """Return the place of ``self.dotted`` in the code of ``module``, which the model calls ``path``.

    Submodules on the way have their own names. None if one of them is missing, or is adjustable already.
    """
    *names, attribute = dotted.split(".")
    while names and names[0] in module._modules:
        child = module._modules[names[0]]
        if child is None or isinstance(child, (Rated, Rate)):
            return None
        path, module = join(path, names.pop(0)), child
    return Place(path, module, tuple(names), attribute)


def as_p(value: object) -> float | None:
    """Return ``value`` as a probability; None if it is not a number in [0, 1]."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and 0.0 <= value <= 1.0 else None  # type: ignore[arg-type, operator]


def join(path: str, name: str) -> str:
    """Return the full name of ``name`` in the module ``path``."""
    return f"{path}.{name}" if path else name
