"""Different rules for different rates, chosen by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from adaptive_dropout.controllers.base import Controller, State, check_controller, check_state

__all__ = ["Partition", "PartitionState"]


@dataclass(frozen=True)
class PartitionState(State):
    """The rates of all parts together, and each part's own state.

    Args:
        rates: as in `State`, like the four fields after it.
        improved, rewind, restart: True if it is True for any part.
        reason: the parts' reasons, each behind its glob.
        states: each part's state by its glob.
    """

    states: Mapping[str, State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "states", dict(self.states))


@dataclass(frozen=True)
class Partition(Controller):
    """Gives each rate to the controller of the first glob that matches the rate's name.

    Globs are those of `fnmatch.fnmatchcase`: ``*`` matches dots too, and case counts. Every rate needs a glob, and
    every glob needs a rate; only the glob ``"*"`` may be left without one. Anything else is an error.

    Args:
        controllers: a controller for each glob, in order of precedence.

    >>> from adaptive_dropout.controllers import FixedController, GapController
    >>> controller = Partition({"fc*": GapController(change=0.25), "*": FixedController()})
    >>> state = controller.init({"conv1": 0.5, "fc1": 0.5})
    >>> state = controller.update(state, {"train_loss": 0.0, "val_loss": 1.0})
    >>> state.reason, state.rates
    ('fc*: gap 1 above 0.1: raised by 0.25', {'conv1': 0.5, 'fc1': 0.75})
    """

    controllers: Mapping[str, Controller]

    def __post_init__(self) -> None:
        if not isinstance(self.controllers, Mapping):
            raise TypeError(f"controllers has to be a mapping from globs to controllers, but got {self.controllers!r}")
        if not self.controllers:
            raise ValueError('controllers has to have a glob or more, such as {"*": FixedController()}, but got {}')
        for glob, controller in self.controllers.items():
            check_controller(controller, f"controllers[{glob!r}]")
        object.__setattr__(self, "controllers", dict(self.controllers))

    def needs(self) -> frozenset[str]:
        """Return what any of the rules needs."""
        return frozenset().union(*(controller.needs() for controller in self.controllers.values()))

    def starting_rates(self, rates: Mapping[str, float], passes: float | None = None) -> dict[str, float]:
        """Return where the rule of each part starts.

        Raises:
            KeyError: as `init`.
        """
        parts = self._parts(rates)
        started = {glob: self.controllers[glob].starting_rates(part, passes) for glob, part in parts.items()}
        return {name: started[self._glob_of(name)][name] for name in rates}

    def init(self, rates: Mapping[str, float]) -> PartitionState:
        """Return each part's first state.

        Raises:
            KeyError: a rate that no glob matches, or a glob left without a rate.
        """
        states = {glob: self.controllers[glob].init(part) for glob, part in self._parts(rates).items()}
        return PartitionState(rates, states=states)

    def update(self, state: State, signals: Mapping[str, float]) -> PartitionState:
        """Return the decisions of all parts, each made from its own state and the rates as they are now."""
        before = check_state(state, PartitionState)
        states = {}
        for glob, part in before.states.items():
            # A wrapper around the partition changes the merged rates only, so those of the part may be out of date.
            current = replace(part, rates={name: before.rates[name] for name in part.rates})
            states[glob] = self.controllers[glob].update(current, signals)
        decided = {name: p for part in states.values() for name, p in part.rates.items()}
        return PartitionState(
            rates={name: decided[name] for name in before.rates},
            improved=any(part.improved for part in states.values()),
            rewind=any(part.rewind for part in states.values()),
            restart=any(part.restart for part in states.values()),
            reason="; ".join(f"{glob}: {part.reason}" for glob, part in states.items() if part.reason),
            states=states,
        )

    def _parts(self, rates: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """Return the rates of each part that has any."""
        parts: dict[str, dict[str, float]] = {glob: {} for glob in self.controllers}
        for name, p in rates.items():
            parts[self._glob_of(name)][name] = p
        for glob, part in parts.items():
            if not part and (glob != "*" or not rates):
                raise KeyError(
                    f"no rate is left for glob {glob!r}: the rates are {sorted(rates)}, "
                    f"and each goes to the first of the globs {list(parts)} that matches it"
                )
        return {glob: part for glob, part in parts.items() if part}

    def _glob_of(self, name: str) -> str:
        for glob in self.controllers:
            if fnmatchcase(name, glob):
                return glob
        raise KeyError(
            f"no glob matches rate {name!r}; the globs are {list(self.controllers)}, "
            "and '*': FixedController() at the end would leave the other rates alone"
        )
