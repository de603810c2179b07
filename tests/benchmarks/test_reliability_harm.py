"""The harm that `benchmarks.reliability` does for hours, once each: disks, signals, kills."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.reliability import disks, kills, signals
from benchmarks.reliability.full_disks import MountError, small_file_system
from benchmarks.reliability.scenarios import SCENARIOS
from benchmarks.reliability.wandb_process import kill_wandb

pytestmark = pytest.mark.filterwarnings("ignore")


SLOW = ("_full_for_a_while", "_shared", "_snapshots_vanished", "_full_file_system", "_wandb_killed")


@pytest.mark.parametrize(
    "name",
    ["_full_to_the_end", "_read_only", "_vanished", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)],
)
def test_each_decision_is_in_the_file_or_one_warning_says_that_it_is_not(name: str, tmp_path: Path) -> None:
    harm: Callable[[Path, random.Random], tuple[list[str], bool]] = getattr(disks, name)
    try:
        wrong, _ = harm(tmp_path, random.Random(0))
    except MountError as error:
        pytest.skip(str(error))
    assert wrong == []


def test_a_small_file_system_takes_no_more_until_it_is_emptied(tmp_path: Path) -> None:
    file = tmp_path / "file"
    try:
        with small_file_system(tmp_path) as (fill, free):
            fill()
            with pytest.raises(OSError, match="No space left on device"):
                file.write_bytes(b"1")
            free()
            file.write_bytes(b"1")
    except MountError as error:
        pytest.skip(str(error))
    assert not file.exists(), "it is mounted still"


def test_where_mounting_is_refused_nothing_counts_as_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mount").write_text("#!/bin/sh\necho 'mount: only root can do that' >&2; exit 1\n")
    (tmp_path / "mount").chmod(0o755)
    monkeypatch.setattr(disks, "KINDS", (disks._full_file_system,))
    for place, why in ((tmp_path, "mount: only root can do that"), (tmp_path / "nothing", "No such file")):
        monkeypatch.setenv("PATH", f"{place}:/bin" if place.exists() else str(place))
        (tmp_path / why).mkdir()
        outcome = disks.attempt(0, tmp_path / why)
        assert (outcome.times, outcome.announced) == (1, 0)
        (line,) = outcome.failures
        assert line.startswith("full file system: raised MountError: not tried: no file system can be mounted here (")
        assert why in line


def test_wandb_s_process_is_not_killed_where_there_is_none() -> None:
    with pytest.raises(ProcessLookupError, match="0 children run wandb-core; one has to"):
        kill_wandb()


@pytest.mark.slow
def test_signals_leave_the_best_weights_and_all_decisions(tmp_path: Path) -> None:
    assert signals.attempt(0, tmp_path).failures == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["every 5 steps", "folder"])
def test_killed_runs_end_as_the_unbroken_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "KILLS", 3)
    outcome = kills.attempt(list(SCENARIOS).index(name), tmp_path)
    assert (outcome.times, outcome.failures) == (3, ())
