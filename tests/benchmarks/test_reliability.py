"""`benchmarks.reliability`: counts honestly, goes on where it stopped, and tries again what was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability import __main__ as command
from benchmarks.reliability.attempt import Attempt, Kind, Outcome
from benchmarks.reliability.kinds import KINDS
from benchmarks.study.rows import read


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Three kinds, and the seeds with which "loses" was tried."""
    seeds: list[int] = []

    def loses(seed: int, folder: Path) -> Outcome:
        seeds.append(seed)
        return Outcome(10, ("ten\nthings",) if seed == 1 and seeds.count(1) == 1 else (), announced=2)

    def raises(seed: int, folder: Path) -> Outcome:
        assert folder.is_dir()
        raise RuntimeError("gone")

    monkeypatch.setattr(command, "KINDS", {
        "holds": Kind("files", "they are there", lambda seed, folder: Outcome(5), 5),
        "loses": Kind("lines", "none is lost", loses, 30),
        "raises": Kind("kills", "it ends", raises, 1),
    })  # fmt: skip
    return seeds


def test_attempts_are_counted_losses_first_and_lost_ones_are_tried_again(
    tried: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--out", str(tmp_path)]) == 1
    assert tried == [0, 1, 2]
    text = capsys.readouterr().out
    assert "| loses | lines | 30 | 29 | 6 | 30 | none is lost |" in text
    assert text.index("| loses ") < text.index("| holds | files | 5 | 5 | 0 | 5 |")
    assert "- loses, seed 1, 1 of 10: ten things" in text
    assert "- raises, seed 0, 1 of 1: the attempt itself raised RuntimeError: gone" in text
    assert command.main(["holds", "loses", "--out", str(tmp_path)]) == 1
    assert tried == [0, 1, 2]  # nothing was missing
    command.main(["loses", "--failed", "--out", str(tmp_path)])
    assert tried == [0, 1, 2, 1]
    text = capsys.readouterr().out
    assert "| loses | lines | 30 | 30 | 6 |" in text
    assert "1 attempts were made again, 1 of them because they had failed" in text
    assert len(read(tmp_path / "results.csv", Attempt)) == 6


def test_time_that_is_over_begins_nothing(tried: list[int], tmp_path: Path) -> None:
    assert command.main(["loses", "--minutes", "-1", "--out", str(tmp_path)]) == 0
    assert not tried


def test_each_kind_says_what_counts() -> None:
    for name, kind in KINDS.items():
        assert kind.things, name
        assert kind.survives, name
        assert kind.enough > 0, name
