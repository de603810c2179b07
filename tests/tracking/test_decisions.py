"""The file of decisions: written at once, never half, never over another run's."""

from __future__ import annotations

import json
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adaptive_dropout.tracking import Run, read_run
from adaptive_dropout.tracking.decisions import Decision, DecisionsFile
from tests.tracking.test_run import recorded


def named(name: str, decisions: int = 0) -> Run:
    run = recorded()
    run.id = name
    del run.decisions[decisions:]
    return run


def open_file(folder: Path, run: Run) -> DecisionsFile:
    return DecisionsFile(folder, run.id, run.lines())


def test_a_decision_is_in_the_file_before_add_returns(tmp_path: Path) -> None:
    run = named("a")
    trace = open_file(tmp_path / "new" / "folder", run)
    for number, (decision, line) in enumerate(zip(recorded().decisions[:5], recorded().lines()[1:], strict=False), 1):
        trace.add(line)
        lines = (tmp_path / "new" / "folder" / "decisions.jsonl").read_text().splitlines()
        assert len(lines) == 1 + number
        assert json.loads(lines[-1])["step"] == decision.step
    trace.close()


def test_the_first_line_says_controller_settings_and_rates_at_start(tmp_path: Path) -> None:
    open_file(tmp_path, named("a")).close()
    header = json.loads((tmp_path / "decisions.jsonl").read_text())
    assert header["controller"]["class_path"] == "adaptive_dropout.RewindController"
    assert header["controller"]["init_args"]["controller"]["class_path"] == "adaptive_dropout.Chain"
    assert header["rates"] == {"a": 0.3, "b.c": 0.1}


def test_a_resumed_run_goes_on_in_its_file_without_doubling_lines(tmp_path: Path) -> None:
    trace = open_file(tmp_path, named("a"))
    decisions = recorded().decisions
    lines = recorded().lines()[1:]
    for line in lines[:8]:
        trace.add(line)
    trace.close()
    resumed = open_file(tmp_path, named("a", 5))  # from a checkpoint after the fifth
    for line in lines[5:12]:
        resumed.add(line)
    resumed.close()
    assert [d.step for d in read_run(tmp_path).decisions] == [d.step for d in decisions[:12]]
    assert [file.name for file in tmp_path.glob("decisions*")] == ["decisions.jsonl"]


def test_another_runs_file_is_kept(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        open_file(tmp_path, named(name, 3)).close()
    assert read_run(tmp_path).id == "c"
    assert read_run(tmp_path / "decisions-1.jsonl").id == "a"
    assert read_run(tmp_path / "decisions-2.jsonl").id == "b"


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"[1]\n", b"\xff\xfe"])
def test_a_file_that_is_none_of_ours_is_kept_too(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "decisions.jsonl").write_bytes(content)
    open_file(tmp_path, named("a")).close()
    assert read_run(tmp_path).id == "a"
    assert (tmp_path / "decisions-1.jsonl").read_bytes() == content


def test_two_runs_that_share_a_folder_at_the_same_time_keep_apart(tmp_path: Path) -> None:
    first, second = open_file(tmp_path, named("a")), open_file(tmp_path, named("b"))
    first.add(recorded().lines()[1])
    second.add(recorded().lines()[2])
    first.close()
    second.close()
    assert [d.step for d in read_run(tmp_path / "decisions-1.jsonl").decisions] == [10]
    assert [d.step for d in read_run(tmp_path).decisions] == [20]


def test_runs_that_begin_in_a_folder_at_the_same_time_each_keep_a_file(tmp_path: Path) -> None:
    names = [f"{number}-of-many" for number in range(16)]
    with ThreadPoolExecutor(len(names)) as threads:
        files = list(threads.map(lambda name: open_file(tmp_path, named(name)), names))
    for file in files:
        file.add(recorded().lines()[1])
        file.close()
    found = [read_run(file) for file in tmp_path.iterdir()]
    assert sorted(run.id for run in found) == sorted(names)
    assert all(len(run.decisions) == 1 for run in found)


def test_a_line_that_does_not_fit_leaves_the_lines_before_it_whole(tmp_path: Path) -> None:
    file = open_file(tmp_path, named("a"))
    lines = recorded().lines()
    file.add(lines[1])
    whole = (tmp_path / "decisions.jsonl").stat().st_size
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 20, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            file.add(lines[2])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    file.add(lines[2])
    file.close()
    assert (tmp_path / "decisions.jsonl").read_text().splitlines()[1:] == lines[1:3]


@pytest.mark.parametrize("name", ["class_path", 1, "x" * 10_000])
def test_what_a_decision_does_not_have_is_named_in_one_short_line(name: object) -> None:
    stored = {"step": 1, "signals": {}, name: 0}
    with pytest.raises(ValueError, match=r"^a decision has no ['1]") as raised:
        Decision.from_dict(stored, {"a": 0.5})
    assert len(str(raised.value)) < 120
