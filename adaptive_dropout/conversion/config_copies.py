"""Copies of the configurations that modules read at each forward, for a model to have rates written to.

The user's own object, and the hyperparameters that are saved, stay as they are. A copy is shallow, and each
configuration has one, however many modules hold it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

from torch import nn

from adaptive_dropout.rates.attribute import write

__all__ = ["HYPERPARAMETERS", "Copies", "Route", "give_back", "why_not_written"]

Route = tuple[nn.Module, tuple[str, ...]]
"""A module, and the attributes that lead from it to a configuration, such as ``("config", "text")``."""

LEDGER = "_configs_before_convert"
"""The attribute in which a module keeps its former configurations: ``{attribute: configuration}``."""

HYPERPARAMETERS = ("_hparams", "_hparams_initial")
"""The attributes in which Lightning's modules keep what checkpoints store."""


class Copies:
    """The copies of the configurations on ``routes``.

    Raises:
        Exception: of any kind, if a configuration cannot be copied.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.made: dict[int, tuple[object, object]] = {}
        # The longest first: a copy of OmegaConf's copies all parts too, and modules have to share the copies of parts.
        for route in sorted(routes, key=lambda route: -len(route[1])):
            self.at_end(route)

    def at_end(self, route: Route) -> object:
        """Return the copy of the configuration at the end of ``route``; the copy at its beginning leads to it."""
        module, (name, *names) = route
        held = vars(module)[name]
        config = vars(module).get(LEDGER, {}).get(name, held)
        made = self._copy(config) if config is held else held  # already a copy of ours
        for name in names:
            inner = getattr(config, name)
            if getattr(made, name) is inner:
                write(made, name, self._copy(inner))
            config, made = inner, getattr(made, name)
            if self.made.setdefault(id(config), (config, made))[1] is not made:
                raise TypeError(f"{name} belongs to two configurations, and each copies it")
        return made

    def hand_out(self, model: nn.Module) -> None:
        """Give every module of ``model`` that holds one of the configurations its copy instead."""
        for module in model.modules():
            for name, value in list(vars(module).items()):
                if id(value) in self.made and name not in HYPERPARAMETERS:
                    vars(module).setdefault(LEDGER, {})[name] = value
                    vars(module)[name] = self.made[id(value)][1]

    def _copy(self, config: object) -> object:
        if id(config) not in self.made:
            self.made[id(config)] = (config, copy.copy(config))
        return self.made[id(config)][1]


def give_back(model: nn.Module) -> None:
    """Give the modules of ``model`` back the configurations that they held before they got copies."""
    for module in model.modules():
        vars(module).update(vars(module).pop(LEDGER, {}))


def why_not_written(owner: object, attribute: str, routes: Sequence[Route]) -> str:
    """Return why ``attribute`` of the configuration ``owner`` cannot be written in a copy; "" if it can.

    This is tried on copies that are thrown away.
    """
    kind, found = type(owner).__name__, getattr(owner, attribute)
    try:
        made = list(map(Copies(routes).at_end, routes))
        # If the first is the owner, that is already a copy of ours.
        tried = copy.copy(owner) if made[0] is owner else made[0]
        write(tried, attribute, 0.5)
        why = "" if getattr(tried, attribute) == 0.5 else "it stays as it is"
    except Exception as error:  # of any kind: other people's code runs here
        why = str(error).split("\n")[0] or repr(error)
    if getattr(owner, attribute) != found:
        write(owner, attribute, found)
        why = "a copy of it changes the original too"
    return f"{kind} cannot be written to: {why}" if why else ""
