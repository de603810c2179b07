"""How many files of the rules one decision enters: what a newcomer has to open to follow it."""

from __future__ import annotations

import json

import pytest

from adaptive_dropout.controllers import controller_from_dict
from adaptive_dropout.controllers.base import update_safely
from tests.controllers.recording import FOLDER, read_signals
from tests.entered import files_entered

PLATEAU = {"base", "moves", "plateau", "reading"}
DEFAULT = {"addition", "base", "chain", "curves", "diagnosis", "moves", "reading", "rewind"}


@pytest.mark.parametrize(("run", "files"), [("plateau", PLATEAU), ("rewind_overfitting", DEFAULT)])
def test_the_decisions_of_a_run_enter_these_files_only(run: str, files: set[str]) -> None:
    recorded = json.loads((FOLDER / f"{run}.json").read_text())
    controller = controller_from_dict(recorded["controller"])
    state = controller.init(recorded["rates"])
    entered: set[str] = set()
    for signals in recorded["signals"]:
        with files_entered() as found:
            state = update_safely(controller, state, read_signals(signals))
        entered |= found
    assert entered == {f"controllers/{name}.py" for name in files} | {"probability.py"}
