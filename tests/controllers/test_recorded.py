"""Real runs, replayed: every rule decides to the last bit as it did when the run was recorded (see `recording`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adaptive_dropout import controllers
from adaptive_dropout.controllers import Controller, controller_from_dict
from tests.controllers.recording import FOLDER, as_recorded, follow, read_signals

FILES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_run_is_decided_as_it_was(file: Path) -> None:
    run = json.loads(file.read_text())
    states = follow(controller_from_dict(run["controller"]), run["rates"], [read_signals(s) for s in run["signals"]])
    assert json.loads(json.dumps(as_recorded(states))) == run["states"]


def test_every_rule_and_every_kind_of_decision_was_recorded() -> None:
    text = "".join(file.read_text() for file in FILES)
    exported = [getattr(controllers, name) for name in controllers.__all__]
    rules = {kind.__name__ for kind in exported if isinstance(kind, type) and issubclass(kind, Controller)}
    assert not [rule for rule in rules - {"Controller"} if f'"adaptive_dropout.{rule}"' not in text]
    for flag in ("improved", "rewind", "restart"):
        assert f'"{flag}": true' in text
    for outcome in (
        "overfitting, raised", "rewound to", ": lowered", "diverged", "started anew", "no decision: train_loss is nan",
        "no decision: no signal named", "keeps up with training", "falls behind training", "underfitting", "slowed to",
        "kept within", "cannot be", "hypergradient: ", "response: ", "val_loss stalled",
    ):  # fmt: skip
        assert outcome in text, outcome
    assert len(FILES) >= 20
