"""`Run`: what a run decided, on which signals and why: all that another controller needs to decide again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adaptive_dropout.controllers import (
    Controller,
    State,
    controller_from_dict,
    controller_to_dict,
    state_from_dict,
)
from adaptive_dropout.controllers.base import NO_DECISION, decide
from adaptive_dropout.tracking.history import History, Point

__all__ = ["Decision", "Run", "replay"]


@dataclass(frozen=True)
class Decision:
    """One decision.

    Args:
        step: optimizer steps done so far.
        signals: what it was made on, by name; a loss that diverged is NaN or infinite.
        before: ``{name: p}`` until then.
        after: ``{name: p}`` from then on.
        improved, rewind, restart, reason: as in `adaptive_dropout.State`.
        controller: the settings that are in force from this decision on, where they changed, as after a resume with
            other ones; else None.
        forgot: whether the controller's memory began anew before this decision.
    """

    step: int
    signals: Mapping[str, float]
    before: Mapping[str, float]
    after: Mapping[str, float]
    improved: bool = False
    rewind: bool = False
    restart: bool = False
    reason: str = ""
    controller: Mapping[str, Any] | None = None
    forgot: bool = False

    @property
    def gap(self) -> float | None:
        """Validation minus training loss; None where one of them was not measured."""
        losses = [self.signals.get(name) for name in ("val_loss", "train_loss")]
        return None if None in losses else losses[0] - losses[1]  # type: ignore[operator]

    def to_dict(self) -> dict[str, Any]:
        """Return the decision in JSON types; numbers that JSON has no word for are text."""
        signals = {name: v if math.isfinite(v) else str(v) for name, v in self.signals.items()}
        rare = {name for name in ("controller", "forgot") if not getattr(self, name)}
        return {name: value for name, value in vars(self).items() if name not in rare} | {"signals": signals}

    def to_line(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Decision:
        """Return the decision that `to_dict` stored.

        Raises:
            TypeError, ValueError, KeyError: it is no such dictionary.
        """
        signals = {name: float(v) if isinstance(v, str) else v for name, v in entries["signals"].items()}
        return cls(**{**entries, "signals": signals})


@dataclass
class Run:
    """The decisions of one run, in order, and what they began with.

    Args:
        id: what tells it from every other run; the same after it was resumed.
        controller: the class path and the settings, as `controller_to_dict` returns them.
        monitor: the metric that was ``val_loss``.
        rates: ``{name: p}`` before the first decision.
        state: the controller's state before it, as `state_to_dict` returns it.
        step: optimizer steps done by then.
        decisions: all so far.
    """

    id: str
    controller: Mapping[str, Any]
    monitor: str
    rates: Mapping[str, float]
    state: Mapping[str, Any]
    step: int = 0
    decisions: list[Decision] = field(default_factory=list)

    def header(self) -> dict[str, Any]:
        """Return all but the decisions, in JSON types."""
        return {name: value for name, value in vars(self).items() if name != "decisions"}

    def to_dict(self) -> dict[str, Any]:
        """Return the run in JSON types."""
        return self.header() | {"decisions": [decision.to_dict() for decision in self.decisions]}

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Run:
        """Return the run that `to_dict` stored.

        Raises:
            TypeError, ValueError, KeyError: the dictionary is not one of a run.
        """
        return cls(**{**entries, "decisions": [Decision.from_dict(decision) for decision in entries["decisions"]]})

    def lines(self) -> list[str]:
        """Return the header and each decision as one line of JSON."""
        return [json.dumps(self.header(), allow_nan=False), *(decision.to_line() for decision in self.decisions)]

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> tuple[Run, int | None]:
        """Return the run, and the number of the first line that is broken, from 1 on, if one is; what follows is lost.

        A second header begins anew, with the decisions behind it: there the run was resumed.

        Raises:
            ValueError: the first line is no header.
        """
        run: Run | None = None
        number = 0
        try:
            for line in lines:
                number += 1
                entries = json.loads(line)
                if run is None or "id" in entries:
                    run = cls(**entries)
                else:
                    run.decisions.append(Decision.from_dict(entries))
        except (ValueError, TypeError, KeyError):
            if run is not None:
                return run, number
        if run is None:
            raise ValueError("it does not begin with the controller, as a record of decisions does")
        return run, None

    def best(self) -> Decision | None:
        """Return the first decision with the lowest finite validation loss, on weights that had its rates before."""
        seen = [d for d in self.decisions if math.isfinite(d.signals["val_loss"])]
        return min(seen, key=lambda decision: decision.signals["val_loss"], default=None)

    def rewinds(self) -> list[int]:
        """Return the steps at which the best weights came back."""
        return [decision.step for decision in self.decisions if decision.rewind]

    def final_rates(self) -> dict[str, float]:
        """Return ``{name: p}`` after the last decision."""
        return dict(self.decisions[-1].after if self.decisions else self.rates)

    def history(self) -> History:
        """Return the rates and losses for `adaptive_dropout.plots`."""
        history = History([Point(self.step, self.rates)])
        for decision in self.decisions:
            losses = {name: decision.signals.get(name, math.nan) for name in ("train_loss", "val_loss")}
            known = {name: loss for name, loss in losses.items() if math.isfinite(loss)}
            history.add(Point(decision.step, decision.after, **known))
        return history


def replay(run: Run, controller: Controller) -> list[State]:
    """Return the state before the first decision of ``run`` and after each, as ``controller`` would have had them.

    The run's own controller gives the run's own rates, to the last bit. What another one is given are still the signals
    of the run as it went: its rates would have changed them.

    Raises:
        KeyError: it needs a signal that the run never measured.
    """
    own = controller_to_dict(controller) == run.controller
    start = state_from_dict(controller, run.state) if own else controller.init(run.rates)
    states = [start]
    for decision in run.decisions:
        if own and decision.controller is not None:
            controller = controller_from_dict(decision.controller, trusted=type(controller))
        state = controller.init(states[-1].rates) if decision.forgot else states[-1]
        states.append(decide(controller, state, decision.signals))
    if not own and len(states) > 1 and all(state.reason.startswith(NO_DECISION) for state in states[1:]):
        raise KeyError(states[1].reason.removeprefix(NO_DECISION))
    return states
