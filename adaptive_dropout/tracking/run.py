"""`Run`: what a run decided, on which signals and why, so that a controller can decide again with `replay`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from adaptive_dropout.controllers import (
    Controller,
    State,
    controller_from_dict,
    controller_to_dict,
    state_from_dict,
)
from adaptive_dropout.controllers.base import NO_DECISION, update_safely
from adaptive_dropout.tracking.decisions import Decision
from adaptive_dropout.tracking.history import History, Point
from adaptive_dropout.tracking.lines import check_kinds, check_rates, check_step, parse
from adaptive_dropout.tracking.packed import PackedDecisions
from adaptive_dropout.tracking.shown import shown

__all__ = ["Run", "replay", "replay_one_by_one"]

DRAWN = 1e100  # a loss above it has diverged, whether or not a float holds it; axes would overflow
KINDS = {"id": str, "controller": Mapping, "monitor": str, "state": Mapping}


@dataclass
class Run:
    """The decisions of one run, in order, and the rates and the state that the run began with.

    Args:
        id: different for every run, and the same after a run was resumed.
        controller: its class path and settings, as `controller_to_dict` returns them.
        monitor: the metric that ``val_loss`` stands for.
        rates: ``{name: p}`` before the first decision.
        state: the controller's state before the first decision, as `state_to_dict` returns it.
        step: optimizer steps done before the record began.
        decisions: all decisions so far.

    ``rates`` at each decision are stored as far as they moved; with all rates, as earlier versions stored them, they
    are read as well.
    """

    id: str
    controller: Mapping[str, Any]
    monitor: str
    rates: Mapping[str, float]
    state: Mapping[str, Any]
    step: int = 0
    decisions: list[Decision] | PackedDecisions = field(default_factory=list)

    def header(self) -> dict[str, Any]:
        """Return everything except the decisions, in JSON types."""
        return {name: value for name, value in vars(self).items() if name != "decisions"}

    def to_dict(self) -> dict[str, Any]:
        """Return the run in JSON types."""
        return self.header() | {"decisions": _packed(self.rates, self.decisions).to_list()}

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> Run:
        """Return the run that `to_dict` stored.

        Raises:
            TypeError, ValueError, KeyError: ``entries`` is not a run, or a number in it is out of its range.
        """
        run = cls._from_header({name: value for name, value in entries.items() if name != "decisions"})
        json.dumps(run.header(), allow_nan=False)  # a checkpoint can hold what no line of the file can
        run.decisions = PackedDecisions.from_list(run.rates, entries["decisions"])
        return run

    def lines(self) -> list[str]:
        """Return the header and each decision as one line of JSON."""
        lines, known = [json.dumps(self.header(), allow_nan=False)], self.rates
        for decision in self.decisions:
            lines.append(decision.to_line(known))
            known = decision.after
        return lines

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> tuple[Run, str | None]:
        """Return the run up to the first broken line, and which that is and why; None if all are whole.

        A second header, where the run was resumed, replaces all before it.

        Raises:
            ValueError: the first line is not a header.
        """
        run: Run | None = None
        number, why = 0, "it is empty"
        try:
            for line in lines:
                number += 1
                entries = parse(line)
                if not isinstance(entries, dict):
                    raise TypeError("it is not a mapping")
                if run is None or "id" in entries:
                    run = cls._from_header(entries)
                else:
                    run._append(entries)
        except (ValueError, TypeError, KeyError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else shown(str(error), longest=500)
            if run is not None:
                return run, f"line {number} ({why})"
        if run is None:
            raise ValueError(f"it does not begin with the controller, as a record of decisions does ({why})")
        return run, None

    @classmethod
    def _from_header(cls, entries: Mapping[str, Any]) -> Run:
        if "decisions" in entries:
            raise ValueError("its header holds decisions")
        run = cls(**entries)
        check_kinds(entries, KINDS)
        check_rates(run.rates, "rates")
        check_step(run.step)
        return run

    def _append(self, entries: Mapping[str, Any]) -> None:
        known = self.decisions[-1].after if self.decisions else self.rates
        self.decisions.append(Decision.from_dict(entries, known))

    def best(self) -> Decision | None:
        """Return the first decision with the lowest finite validation loss; ``before`` are the rates of its weights."""
        seen = [d for d in self.decisions if math.isfinite(d.signals.get("val_loss", math.nan))]
        return min(seen, key=lambda decision: decision.signals["val_loss"], default=None)

    def rewinds(self) -> list[int]:
        """Return the steps at which the best weights were restored."""
        return [decision.step for decision in self.decisions if decision.rewind]

    def restarts(self) -> list[int]:
        """Return the steps at which the initial weights were restored."""
        return [decision.step for decision in self.decisions if decision.restart]

    def final_rates(self) -> dict[str, float]:
        """Return ``{name: p}`` after the last decision."""
        return dict(self.decisions[-1].after if self.decisions else self.rates)

    def history(self) -> History:
        """Return the rates and losses for `adaptive_dropout.plots`."""
        history = History([Point(self.step, self.rates)])
        for decision in self.decisions:
            losses = {name: decision.signals.get(name, math.nan) for name in ("train_loss", "val_loss")}
            known = {name: loss for name, loss in losses.items() if abs(loss) < DRAWN}
            history.add(Point(decision.step, decision.after, **known))
        return history


def _packed(rates: Mapping[str, float], decisions: Iterable[Decision]) -> PackedDecisions:
    if isinstance(decisions, PackedDecisions):
        return decisions
    packed = PackedDecisions(rates)
    for decision in decisions:
        packed.append(decision)
    return packed


def replay(run: Run, controller: Controller) -> list[State]:
    """Return the states of ``controller`` on the signals of ``run``: the initial state, then one for each decision.

    Each holds all that the rule remembers, a few kilobytes; `replay_one_by_one` keeps none of them. The run's own
    controller returns the run's own rates, to the last bit. Another controller gets the same signals, although its
    rates would have changed them.

    Raises:
        KeyError: ``controller`` needs a signal that the run never measured.
    """
    return list(replay_one_by_one(run, controller))


def replay_one_by_one(run: Run, controller: Controller) -> Iterator[State]:
    """Yield the states that `replay` returns, and at the end raise what it raises."""
    own = controller_to_dict(controller) == run.controller
    state = state_from_dict(controller, run.state) if own else controller.init(run.rates)
    yield state
    why_none: str | None = None  # of the first, until one is made
    for number, decision in enumerate(run.decisions):
        if own and decision.controller is not None:
            controller = controller_from_dict(decision.controller, trusted=type(controller))
        if decision.forgot:
            state = controller.init(state.rates)
        state = update_safely(controller, state, decision.signals)
        yield state
        if not state.reason.startswith(NO_DECISION):
            why_none = None
        elif number == 0:
            why_none = state.reason.removeprefix(NO_DECISION)
    if why_none is not None and not own:
        raise KeyError(why_none)
