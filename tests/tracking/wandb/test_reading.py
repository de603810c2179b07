"""Reading a run back: whole, cut off, foreign or missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from adaptive_dropout.tracking import read_run
from adaptive_dropout.tracking.names import TRACE
from tests.tracking.test_run import recorded


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with the decisions of a run."""
    (tmp_path / "decisions.jsonl").write_text("".join(f"{line}\n" for line in recorded().lines()))
    return tmp_path


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two files that W&B itself wrote: the record of a run, and a run without decisions."""
    import wandb

    lines = recorded().lines()
    rows = {"ours": [{TRACE: line} for line in ["\n".join(lines[:3]), *lines[3:]]], "foreign": [{"loss": "1"}]}
    files = {}
    for name, logged in rows.items():
        folder = tmp_path_factory.mktemp(name)
        run = wandb.init(project="p", dir=folder, mode="offline")
        for row in logged:
            run.log(row | {"other": 1.0})
        run.finish()
        (files[name],) = folder.rglob("run-*.wandb")
    wandb.teardown()  # finish alone may return before the end of the file is written
    return files


def test_a_folder_and_its_file_are_the_same_run(written: Path) -> None:
    assert read_run(written).lines() == recorded().lines()
    assert read_run(str(written / "decisions.jsonl")).lines() == recorded().lines()


@pytest.mark.parametrize("cut", [1, 200])
def test_a_truncated_file_gives_what_it_holds_with_a_warning(written: Path, cut: int) -> None:
    file = written / "decisions.jsonl"
    file.write_bytes(file.read_bytes()[: -cut - 1])
    with pytest.warns(UserWarning, match=r"is broken in line 201 \(.*\); the 199 decisions before it were read"):
        assert len(read_run(written).decisions) == 199


def test_an_offline_wandb_file_holds_every_decision(offline: dict[str, Path]) -> None:
    assert read_run(offline["ours"]).lines() == recorded().lines()
    assert read_run(offline["ours"].parent).lines() == recorded().lines()


def test_a_truncated_wandb_file_gives_what_it_holds_with_a_warning(offline: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "run-x.wandb"
    whole = offline["ours"].read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match="is not complete: the run was killed, or it has not ended"):
        run = read_run(file)
    assert 50 < len(run.decisions) < 150
    assert run.lines() == recorded().lines()[: 1 + len(run.decisions)]


def test_a_run_without_our_metrics_is_told(offline: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"holds no decisions of this library"):
        read_run(offline["foreign"])


def test_what_is_no_run_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "run-x.wandb").write_bytes(b"garbage")
    (tmp_path / "notes.txt").write_text("hello\nyou")
    with pytest.raises(ValueError, match=r"is not a run file of W&B$"):
        read_run(tmp_path)
    with pytest.raises(ValueError, match=r"notes.txt' holds no decisions of this library"):
        read_run(tmp_path / "notes.txt")


def test_an_unknown_run_is_told_with_what_would_be_right(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no run at 'nowhere'; give the folder of a run, its decisions.jsonl"):
        read_run("nowhere")
    with pytest.raises(FileNotFoundError, match=r"it has neither decisions.jsonl nor a run-\*.wandb"):
        read_run(tmp_path)


def test_a_version_of_wandbs_format_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run-x.wandb").write_bytes(b":W&B\xe1\xbe\x01")
    with pytest.raises(ValueError, match=r"run-x.wandb' has version 1 of W&B's format; only 0 can be read"):
        read_run(tmp_path)


def test_a_wandb_without_its_record_format_points_to_our_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run-x.wandb").write_bytes(b":W&B\xe1\xbe\x00")
    monkeypatch.setitem(sys.modules, "wandb.proto.wandb_internal_pb2", None)
    with pytest.raises(ImportError, match=r"wandb does not say how its files are built; read decisions.jsonl in"):
        read_run(tmp_path)
