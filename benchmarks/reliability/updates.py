"""Decisions on signals that no training gives: every exported rule, random settings, and checks after each update.

After each decision: every rate is a probability and within the bounds of its rule; the state and the signals that went
in are unchanged; the same state and signals decide the same again; and so does the state that was stored as JSON and
read back. A rule may refuse signals, with an error of one line that names the signal.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adaptive_dropout.controllers import Clip, Controller, SpeedLimit, State, state_from_dict, state_to_dict
from adaptive_dropout.controllers.base import NO_DECISION, update_safely
from adaptive_dropout.controllers.serialization import public_controllers
from benchmarks.reliability.attempt import Outcome
from benchmarks.reliability.rules import rule_of
from benchmarks.reliability.signal_logs import signal_log

__all__ = ["attempt", "violations"]

UPDATES = 20_000  # in an attempt
RUN = 100  # updates of one rule with the same settings
REFUSAL = re.compile("signal .*")
RATES = ("conv", "fc.1", "head dropout\u202e")


def attempt(seed: int, folder: Path | None, updates: int = UPDATES) -> Outcome:
    """Let each rule in turn decide on random signals, with settings of ``seed``."""
    rng, failures = random.Random(seed), []
    kinds = list(public_controllers().values())
    for run in range(updates // RUN):
        controller = rule_of(kinds[run % len(kinds)], rng)
        rates = {name: rng.choice([0.0, 1.0, 5e-324, rng.random(), rng.random()]) for name in rng.sample(RATES, 2)}
        rates = controller.starting_rates(rates, rng.choice([None, 0.0, 1.0, 1e308]))
        failures += violations(controller, rates, signal_log(rng, list(rates), RUN))
    return Outcome(updates // RUN * RUN, tuple(failures))


def violations(controller: Controller, rates: Mapping[str, float], log: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line for each update of ``log`` that broke a promise; the run goes on from the state before it."""
    state, failures = controller.init(rates), []
    for number, signals in enumerate(log):
        decided = _decide(controller, state, signals)
        if isinstance(decided, State):
            state = decided
        else:
            failures.append(f"{controller!r} at {state!r} on update {number}, {signals!r}: {decided}")
    return failures


def _decide(controller: Controller, state: State, signals: Mapping[str, Any]) -> State | str:
    """Return the next state, or which promise was broken."""
    try:
        return _checked(controller, state, signals)
    except AssertionError as broken:
        return str(broken)


def _checked(controller: Controller, state: State, signals: Mapping[str, Any]) -> State:
    text, given = _json(state), repr(signals)
    stored = state_from_dict(controller, json.loads(text))
    assert stored == state, f"read back it is {stored!r}"
    after, again, resumed = (_outcome(controller, before, signals) for before in (state, state, stored))
    assert repr(signals) == given, f"the signals became {signals!r}"
    assert _json(state) == text, "the state that went in was changed"
    assert after == again, f"first {after!r}, then {again!r}"
    assert after == resumed, f"{after!r}, and resumed {resumed!r}"
    if isinstance(after, str):
        return state
    _json(after)
    _check_bounds(controller, state, after)
    return after


def _outcome(controller: Controller, state: State, signals: Mapping[str, Any]) -> State | str:
    """Return the next state, or the error that refuses the signals."""
    try:
        return update_safely(controller, state, signals)
    except Exception as error:
        if isinstance(error, (ValueError, TypeError)) and REFUSAL.fullmatch(str(error)):
            return str(error)
        raise AssertionError(f"{type(error).__name__}: {error}") from error


def _json(state: State) -> str:
    try:
        return json.dumps(state_to_dict(state), allow_nan=False)
    except (ValueError, TypeError) as error:
        raise AssertionError(f"no JSON: {error}") from error


def _check_bounds(controller: Controller, before: State, after: State) -> None:
    assert after.rates.keys() == before.rates.keys(), f"other rates: {after.rates}"
    assert all(0.0 <= p <= 1.0 for p in after.rates.values()), f"no probabilities: {after.rates}"
    if after.reason.startswith(NO_DECISION):
        assert after.rates == before.rates, f"no decision, and the rates moved to {after.rates}"
    elif isinstance(controller, Clip):
        kept = all(controller.low <= p <= controller.high for p in after.rates.values())
        assert kept, f"outside the bounds: {after.rates}"
    elif isinstance(controller, SpeedLimit):
        moves = {name: abs(p - before.rates[name]) for name, p in after.rates.items()}
        assert all(move <= controller.change + 1e-12 for move in moves.values()), f"too fast: {moves}"
