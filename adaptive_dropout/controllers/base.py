"""A controller is frozen settings and two pure functions, ``init`` and ``update``; all that it remembers is in a state.

So a run can be stored, continued, or replayed from its signals without a model or a GPU::

    states = itertools.accumulate(signal_log, controller.update, initial=controller.init(rates))

`update_safely` wraps ``update`` for runs, where a signal may be missing or not finite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from adaptive_dropout.checks import check_p
from adaptive_dropout.controllers.reading import BrokenSignalError, as_float, has_diverged

__all__ = [
    "NO_DECISION",
    "Controller",
    "State",
    "at_rates",
    "changed",
    "check_controller",
    "check_state",
    "update_safely",
]

NO_DECISION = "no decision: "
"""How the reason of a state begins where no decision could be made."""

S = TypeVar("S", bound="State")


@dataclass(frozen=True)
class State:
    """A decision and all that is remembered of earlier ones.

    A controller that remembers more subclasses this, with fields of JSON types: None for "none yet", finite
    floats, tuples, mappings with names as keys, other states.

    Args:
        rates: each rate's p, in [0, 1], by the rate's name.
        improved: the model is the best so far; worth a snapshot.
        rewind: the best snapshot should be restored.
        restart: the initial weights should be restored, with a fresh optimizer.
        reason: why the rates moved, in a few words; empty if no rule asked for it.

    Raises:
        TypeError, ValueError: a p is not a number in [0, 1].
    """

    rates: Mapping[str, float]
    improved: bool = False
    rewind: bool = False
    restart: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", _checked(dict(self.rates)))


def _checked(rates: dict[str, float]) -> dict[str, float]:
    # Rules make several states a decision, and naming a thousand rates in words takes a millisecond.
    for p in rates.values():
        if not (type(p) is float and 0.0 <= p <= 1.0):
            return {name: check_p(p, f"rates[{name!r}]") for name, p in rates.items()}
    return rates


def changed(state: S, **fields: Any) -> S:
    """Return ``state`` with other ``fields``, as ``dataclasses.replace`` does in up to ten times the time.

    A decision makes six states. Rates are checked and then shared with whoever gave them, so they have to be those of
    another state, or made for this one. The names of the fields are not checked.

    >>> changed(State({"fc": 0.5}), reason="why").reason
    'why'
    """
    kind, known = type(state), vars(state)
    if kind.__post_init__ is not State.__post_init__ or len(known) != len(kind.__dataclass_fields__):
        return replace(state, **fields)  # a rule's own state, which may check more than rates, or have slots
    if "rates" in fields and fields["rates"] is not state.rates:
        fields["rates"] = _checked(fields["rates"])
    new = object.__new__(kind)
    object.__setattr__(new, "__dict__", known | fields)  # in half the time of filling the one that it has
    return new


def at_rates(state: S, rates: Mapping[str, float]) -> S:
    """Return ``state`` with the ``rates`` of another state; ``state`` itself if it shares them already."""
    return state if state.rates is rates else changed(state, rates=rates)


@dataclass(frozen=True)
class Controller(ABC):
    """A rule that turns signals into rates; a subclass is a frozen dataclass of its settings.

    Signals are metrics by name, as finite floats. Lightning's callback gives ``train_loss`` (mean minibatch loss,
    dropout on, since the last decision), ``val_loss``, ``step``, ``total_steps``, ``epoch`` and every other metric.
    """

    def needs(self) -> frozenset[str]:
        """Return the names of the signals and snapshots that the rule needs and that cost something to have.

        ``"clean_loss"``: the signals of `adaptive_dropout.signals.CleanLoss`. ``"hypergradient"`` and ``"response"``:
        derivatives w.r.t. rates, as `adaptive_dropout.signals.hypergradient` and ``Response`` measure it.
        ``"snapshot"``: the best weights, to rewind to. A wrapper needs what the rules in it need.
        """
        return frozenset()

    def starting_rates(self, rates: Mapping[str, float], passes: float | None = None) -> dict[str, float]:
        """Return the rates at which a run starts, from those of the model; the same unless the rule has its own.

        Args:
            rates: those of the model.
            passes: how often the run shows each training example in the mean; None if that is not known.
        """
        return dict(rates)

    @abstractmethod
    def init(self, rates: Mapping[str, float]) -> State:
        """Return the state before the first decision, with exactly these rates."""

    @abstractmethod
    def update(self, state: State, signals: Mapping[str, float]) -> State:
        """Return the next decision; ``state`` and ``signals`` stay as they are.

        Raises:
            KeyError: a signal that the rule needs is missing.
            ValueError: a signal that the rule reads is NaN, infinite or beyond 1e100, or the step is before the last.
            TypeError: a signal that the rule reads is not a number.
        """


def update_safely(controller: Controller, state: State, signals: Mapping[str, float]) -> State:
    """Return the next decision, or ``state`` with the reason why there is none, so that the rates stay.

    There is no decision if a signal that the rule needs is missing, or if one that it reads is NaN, infinite or beyond
    1e100: a validation loss if the rule has nothing to go back to, a training loss even if it does not read it.

    >>> from adaptive_dropout.controllers import GapController
    >>> controller = GapController()
    >>> update_safely(controller, controller.init({"fc": 0.5}), {"val_loss": 1.0}).reason
    "no decision: no signal named 'train_loss'; there are ['val_loss']"
    """
    diverged = [name for name in ("train_loss", "clean_loss") if has_diverged(signals, name)]
    if diverged and not has_diverged(signals, "val_loss"):
        return _stay(state, ", ".join(f"{name} is {as_float(signals, name)}" for name in diverged))
    try:
        return controller.update(state, signals)
    except KeyError as error:
        return _stay(state, str(error.args[0]))
    except BrokenSignalError as error:
        return _stay(state, f"{error.name} is {error.value}")


def _stay(state: State, why: str) -> State:
    return replace(state, improved=False, rewind=False, restart=False, reason=NO_DECISION + why)


def check_state(state: State, kind: type[S]) -> S:
    """Return ``state`` if it is of the ``kind`` that the controller's ``init`` returns, else raise a TypeError."""
    if not isinstance(state, kind):
        raise TypeError(f"state has to be a {kind.__name__}, as init(rates) returns, but got a {type(state).__name__}")
    return state


def check_controller(value: object, name: str = "controller") -> Controller:
    """Return ``value`` if it is a controller (an instance, not the class), else raise a TypeError."""
    if not isinstance(value, Controller):
        raise TypeError(f"{name} has to be a Controller such as FixedController(), but got {value!r}")
    return value
