"""The harm that `benchmarks.reliability` does for hours, once each: disks, signals, kills."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.reliability import disks, kills, signals
from benchmarks.reliability.scenarios import SCENARIOS

pytestmark = pytest.mark.filterwarnings("ignore")


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("_full_for_a_while", "_shared", "_snapshots_vanished")]


@pytest.mark.parametrize("name", ["_full_to_the_end", "_read_only", "_vanished", *SLOW])
def test_each_decision_is_in_the_file_or_one_warning_says_that_it_is_not(name: str, tmp_path: Path) -> None:
    harm: Callable[[Path, random.Random], tuple[list[str], bool]] = getattr(disks, name)
    assert harm(tmp_path, random.Random(0))[0] == []


@pytest.mark.slow
def test_signals_leave_the_best_weights_and_all_decisions(tmp_path: Path) -> None:
    assert signals.attempt(0, tmp_path).failures == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["every 5 steps", "folder"])
def test_killed_runs_end_as_the_unbroken_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "KILLS", 3)
    outcome = kills.attempt(list(SCENARIOS).index(name), tmp_path)
    assert (outcome.times, outcome.failures) == (3, ())
