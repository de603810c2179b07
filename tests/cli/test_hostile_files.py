"""Files that are cut off, spoilt or made to harm: read, or refused in one line, soon and in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from adaptive_dropout.cli.errors import one_line
from benchmarks.reliability.hostile import checkpoints, data_files, run_files, settings
from benchmarks.reliability.hostile.feeding import Case, attempt_of, feed

CASES = {
    "run files": run_files.CASES,
    "data files": data_files.CASES,
    "checkpoints": checkpoints.CASES,
    "settings": settings.CASES,
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "inputs"), [("run files", 462), ("data files", 300), ("checkpoints", 240)])
def test_a_thousand_spoilt_files_are_read_or_refused(kind: str, inputs: int, tmp_path: Path) -> None:
    assert attempt_of(CASES[kind], inputs)(1000, tmp_path).failures == ()


@pytest.mark.slow
def test_spoilt_settings_are_used_or_refused(tmp_path: Path) -> None:
    assert attempt_of(settings.CASES, 10)(1000, tmp_path).failures == ()


@pytest.mark.parametrize("kind", ["run files", "data files", "checkpoints"])
def test_a_few_spoilt_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    few = list(dict.fromkeys(case for case in CASES[kind] if not case.name.startswith("adaptive-dropout")))
    assert attempt_of(few, 12)(0, tmp_path).failures == ()


def test_what_is_not_survived_is_told(tmp_path: Path) -> None:
    def endless(folder: Path) -> None:
        while True:
            pass

    def unclear(folder: Path) -> None:
        raise ValueError("two\nlines")

    def undocumented(folder: Path) -> None:
        raise AttributeError("'int' has no x")

    told = [feed(Case("", print, read, seconds=0.1), tmp_path) for read in (endless, unclear, undocumented)]
    assert told[0] == "no answer within 0 s"
    assert told[1] == "the error is of several lines, does not name the file: ValueError: two\nlines"
    assert told[2] == "AttributeError: 'int' has no x"


class Broken:
    def __len__(self) -> int:
        return 4

    def __getitem__(self, place: int) -> int:
        raise ValueError("'a.png' is no readable image (it is empty)")


def test_an_error_in_a_worker_is_one_line_without_its_traceback() -> None:
    with pytest.raises(ValueError, match="Original Traceback") as raised:
        next(iter(DataLoader(Broken(), num_workers=1)))
    assert one_line(raised.value) == "'a.png' is no readable image (it is empty)"
