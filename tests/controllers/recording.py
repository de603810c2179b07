"""Keeps the decisions of a real run as a small file, to be replayed as a test.

``python -m tests.controllers.recording RUN NAME`` reads the run (a folder with ``decisions.jsonl``), rounds its signals
to six digits, replays its controller on them, and writes ``recorded/NAME.json``. A new rule gets a new file; the old
files stay, since they say what every release has decided so far.

The file holds the settings of the controller, the rates to begin with, the signals of each decision, and, of each state
that follows, the fields that changed. All floats are written in full, so equal means equal to the last bit.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from adaptive_dropout.controllers import Controller, State, controller_from_dict, state_to_dict
from adaptive_dropout.controllers.base import update_safely
from adaptive_dropout.tracking import read_run

FOLDER = Path(__file__).parent / "recorded"


def follow(controller: Controller, rates: Mapping[str, float], log: Sequence[Mapping[str, float]]) -> list[State]:
    """Return the state before the first decision and after each."""
    return list(
        accumulate(log, lambda state, seen: update_safely(controller, state, seen), initial=controller.init(rates))
    )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a stored state that differ from ``before``; those of a state in it by themselves."""
    assert before.keys() == after.keys()
    return {
        name: changes(before[name], value) if isinstance(value, dict) and value.keys() == before[name].keys() else value
        for name, value in after.items()
        if value != before[name]
    }


def as_recorded(states: Sequence[State]) -> list[dict[str, Any]]:
    """Return the first state in full, and of each later one what changed, in JSON types."""
    stored = [state_to_dict(state) for state in states]
    return [stored[0], *(changes(before, after) for before, after in pairwise(stored))]


def read_signals(entries: Mapping[str, Any]) -> dict[str, float]:
    """Return signals from a recorded file, where "nan" and "inf" are text."""
    return {name: float(value) for name, value in entries.items()}


def record(run: str | Path, name: str) -> Path:
    """Write ``recorded/NAME.json`` from a run, and return its path."""
    found = read_run(run)
    log = [{name: _rounded(value) for name, value in decision.signals.items()} for decision in found.decisions]
    states = follow(controller_from_dict(found.controller), found.rates, log)
    signals = [{n: v if math.isfinite(v) else str(v) for n, v in seen.items()} for seen in log]
    lists = {"signals": signals, "states": as_recorded(states)}
    heads = [
        f'"{key}": {json.dumps(value)}' for key, value in (("controller", found.controller), ("rates", found.rates))
    ]
    bodies = [f'"{key}": [\n{_rows(rows)}\n]' for key, rows in lists.items()]
    path = FOLDER / f"{name}.json"
    path.write_text("{\n" + ",\n".join(heads + bodies) + "\n}\n")
    return path


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    return ",\n".join(json.dumps(row, allow_nan=False) for row in rows)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


if __name__ == "__main__":
    record(*sys.argv[1:])
