"""Lines of a run's file that no run of ours has written: what is wrong with them is one line, with the value."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adaptive_dropout.tracking import History, read_run
from adaptive_dropout.tracking.decisions import DecisionsFile
from adaptive_dropout.tracking.lines import DEEPEST, LONGEST, parse
from adaptive_dropout.tracking.run import Run
from tests.tracking.test_run import RATES, recorded

HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "rate above 1": ({"rates": {"a": 1.5}}, "rates['a'] has to be between 0 and 1, but got 1.5"),
    "rate below 0": ({"rates": {"a": -0.1}}, "rates['a'] has to be between 0 and 1, but got -0.1"),
    "rate as text": ({"rates": {"a": "nan"}}, "rates['a'] has to be a number between 0 and 1, but got 'nan'"),
    "rate of a thousand digits": ({"rates": {"a": 10**999}}, "but got 'an integer of too many digits'"),
    "infinite rate": ({"rates": {"a": math.inf}}, "Infinity is no number of JSON"),
    "no rates": ({"rates": {}}, "rates has to be a mapping with one rate at least, but got {}"),
    "rates as a list": ({"rates": [0.1]}, "rates has to be a mapping with one rate at least, but got [0.1]"),
    "step before 0": ({"step": -1}, "step has to be at least 0, but got -1"),
    "step between two": ({"step": 0.5}, "step has to be a whole number, but got 0.5"),
    "step of a thousand digits": ({"step": 10**999}, "step has to be at most 9007199254740992"),
    "controller as text": ({"controller": "a"}, "controller has to be a Mapping, but got 'a'"),
    "state as a number": ({"state": 1}, "state has to be a Mapping, but got 1"),
    "monitor as a list": ({"monitor": ["a"]}, "monitor has to be a str, but got ['a']"),
    "decisions in the header": ({"decisions": [1]}, "its header holds decisions"),
    "a field too many": ({"evil": 1}, "unexpected keyword argument 'evil'"),
}
DECISIONS: dict[str, tuple[dict[str, Any], str]] = {
    "rate above 1": ({"after": RATES | {"a": 7.0}}, "after['a'] has to be between 0 and 1, but got 7.0"),
    "rate of nothing": (
        {"before": RATES | {"a": None}},
        "before['a'] has to be a number between 0 and 1, but got None",
    ),
    "one rate above 1": ({"after": 1.5}, "after has to be between 0 and 1, but got 1.5"),
    "a rate in a list as text": ({"after": [0.1, "a"]}, "after['b.c'] has to be a number between 0 and 1, but got 'a'"),
    "a list too short": ({"before": [0.1]}, "before has to have 2 rates, but has 1"),
    "rates as text": ({"after": "no"}, "after has to be a number between 0 and 1, but got 'no'"),
    "nothing moved, as a mapping": ({"after": {}}, "after has to be a mapping with one rate at least, but got {}"),
    "another rate": ({"after": RATES | {"c": 0.5}}, "it has other rates than the 2 that the run began with"),
    "step before 0": ({"step": -5}, "step has to be at least 0, but got -5"),
    "step as a flag": ({"step": True}, "step has to be a whole number, but got True"),
    "signal as a list": ({"signals": {"val_loss": [1]}}, "signals['val_loss'] has to be a number, but got [1]"),
    "signal as a word": ({"signals": {"val_loss": "one"}}, "signals['val_loss'] has to be a number, but got 'one'"),
    "NaN outside of text": ({"signals": {"val_loss": math.nan}}, "NaN is no number of JSON"),
    "signals as a list": ({"signals": [1]}, "signals has to be a mapping, but got [1]"),
    "flag as text": ({"rewind": "no"}, "rewind has to be a bool, but got 'no'"),
    "reason as a mapping": ({"reason": {"a": 1}}, "reason has to be a str, but got {'a': 1}"),
    "controller as a number": ({"controller": 3}, "controller has to be a Mapping, but got 3"),
}


def write(file: Path, number: int, changed: dict[str, Any]) -> None:
    lines = [json.loads(line) for line in recorded().lines()[:6]]
    lines[number] |= changed
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_out_of_range_is_refused(case: str, tmp_path: Path) -> None:
    changed, told = HEADERS[case]
    write(tmp_path / "decisions.jsonl", 0, changed)
    with pytest.raises(ValueError, match="holds no decisions of this library") as refused:
        read_run(tmp_path)
    assert str(tmp_path) in str(refused.value)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("case", DECISIONS)
def test_a_decision_out_of_range_ends_the_run_before_it(case: str, tmp_path: Path) -> None:
    changed, told = DECISIONS[case]
    write(tmp_path / "decisions.jsonl", 3, changed)
    with pytest.warns(UserWarning, match=r"is broken in line 4 \(.*\); the 2 decisions before it were read$") as warned:
        assert len(read_run(tmp_path).decisions) == 2
    (line,) = (str(each.message) for each in warned)
    assert line.startswith(str(tmp_path))
    assert told in line


def test_a_checkpoint_is_checked_in_the_same_way() -> None:
    stored = recorded().to_dict()
    assert len(Run.from_dict(stored).decisions) == 200
    stored["decisions"] = [json.loads(line) for line in recorded().lines()[1:]]
    stored["decisions"][7]["after"] = {"a": 2.0, "b.c": 0.1}
    with pytest.raises(ValueError, match=r"after\['a'\] has to be between 0 and 1, but got 2.0"):
        Run.from_dict(stored)
    history = History()
    with pytest.raises(ValueError, match=r"rates\['a'\] has to be between 0 and 1, but got 2.0"):
        history.load_state_dict({"points": [{"step": 1, "rates": {"a": 2.0}}]})
    assert history.points == []


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 10_000, 1_000_000])
def test_deep_nesting_is_refused_in_one_line(depth: int, tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    file.write_text(recorded().lines()[0].replace('"monitor": "val_loss"', f'"monitor": {nested(depth)}') + "\n")
    with pytest.raises(ValueError, match=r"\(it is nested deeper than 50\)$"):
        read_run(tmp_path)
    fresh = DecisionsFile(tmp_path, "run-1", recorded().lines())  # which looks at what is there
    fresh.close()
    assert len(read_run(tmp_path).decisions) == 200


def test_what_is_less_deep_is_read() -> None:
    assert parse(nested(DEEPEST)) is not None


def test_a_line_too_long_is_cut_where_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    file.write_text(recorded().lines()[0] + "\n" + " " * (LONGEST + 1) + recorded().lines()[1])
    with pytest.warns(UserWarning, match=r"line 2 \(it is longer than 8388608 characters\); the 0 decisions before it"):
        read_run(tmp_path)


@pytest.mark.parametrize("link", ["/dev/zero", "pipe"])
def test_a_device_or_a_pipe_in_a_folder_is_no_run(link: str, tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    if link == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(link)
    with pytest.raises(FileNotFoundError, match="it has neither"):
        read_run(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("filling", ["x", "[", '{"a":', "0,"])
def test_a_line_of_100_megabytes_takes_little_memory(filling: str, tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    with file.open("w") as text:
        text.write(recorded().lines()[0] + '\n{"id": [')
        for _ in range(100):
            text.write(filling * (1_000_000 // len(filling)))
    code = f"""
import resource, warnings
from adaptive_dropout.tracking import read_run
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    read_run({str(tmp_path)!r})
print(caught[-1].message)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, grown = done.stdout.splitlines()
    assert told.endswith(
        "is broken in line 2 (it is longer than 8388608 characters); the 0 decisions before it were read"
    )
    assert int(grown) < 64 * 1024, "KiB"
