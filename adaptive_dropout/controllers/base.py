"""What every controller is: frozen settings and two pure functions; all that it remembers is in the state.

So a run can be stored, continued, or replayed from its signals without a model or a GPU::

    states = itertools.accumulate(signal_log, controller.update, initial=controller.init(rates))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from adaptive_dropout.checks import check_p

__all__ = ["Controller", "State", "own_state"]

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
        TypeError, ValueError: a p is no number in [0, 1].
    """

    rates: Mapping[str, float]
    improved: bool = False
    rewind: bool = False
    restart: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        checked = {name: check_p(p, f"rates[{name!r}]") for name, p in self.rates.items()}
        object.__setattr__(self, "rates", checked)


@dataclass(frozen=True)
class Controller(ABC):
    """A rule that turns signals into rates; a subclass is a frozen dataclass of its settings.

    Signals are metrics by name, as finite floats. Lightning's callback gives ``train_loss`` (mean minibatch loss,
    dropout on, since the last decision), ``val_loss``, ``step``, ``total_steps``, ``epoch`` and every other metric.
    """

    def needs(self) -> frozenset[str]:
        """Return what has to be measured or kept for this rule, because it is not free.

        ``"clean_loss"``: the signals of `adaptive_dropout.signals.CleanLoss`. ``"hypergradient"`` and ``"response"``:
        a derivative by each rate, as `adaptive_dropout.signals.hypergradient` and ``Response`` measure it.
        ``"snapshot"``: the best weights, to rewind to. A wrapper needs what the rules in it need.
        """
        return frozenset()

    @abstractmethod
    def init(self, rates: Mapping[str, float]) -> State:
        """Return the state before the first decision, with exactly these rates."""

    @abstractmethod
    def update(self, state: State, signals: Mapping[str, float]) -> State:
        """Return the next decision; ``state`` and ``signals`` stay as they are.

        Raises:
            KeyError: a signal that the rule needs is missing.
            ValueError: it is NaN or infinite.
        """


def own_state(state: State, kind: type[S]) -> S:
    """Return ``state`` if it is of the ``kind`` a controller made itself, else raise a TypeError."""
    if not isinstance(state, kind):
        raise TypeError(f"state has to be a {kind.__name__}, as init(rates) returns, but got a {type(state).__name__}")
    return state
