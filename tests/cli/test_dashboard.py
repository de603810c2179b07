"""``adaptive-dropout dashboard`` without a server; tests/tracking/wandb/test_sweep.py has one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from adaptive_dropout.cli import main
from tests.cli.commands import error_of

COMMAND = ["dashboard", "--entity", "e", "--project", "p"]


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("wandb.login", lambda **_: False)


@pytest.mark.parametrize(("more", "part"), [([], "section"), (["--report"], "blocks")])
def test_a_dry_run_shows_the_json(more: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, *more, "--dry-run"]) == 0
    assert part in json.loads(capsys.readouterr().out)


def test_a_dry_run_writes_the_json_to_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "dashboard.json"
    assert main([*COMMAND, "--dry-run", "-o", str(file)]) == 0
    assert "section" in json.loads(file.read_text())
    assert capsys.readouterr().out == f"{file}\n"


def test_nobody_logged_in_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    expected = "nobody is logged in to W&B; run `wandb login`, or add --dry-run to see the JSON"
    assert error_of(COMMAND, capsys) == expected
    assert error_of([*COMMAND, "--report"], capsys) == expected


def test_without_the_extra_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    expected = 'dashboards need wandb-workspaces: pip install "adaptive-dropout[dashboards]"'
    assert error_of([*COMMAND, "--dry-run"], capsys) == expected


def test_a_file_for_what_is_not_shown_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert error_of([*COMMAND, "-o", "x.json"], capsys).startswith("-o x.json is for the JSON of --dry-run")
    assert not (tmp_path / "x.json").exists()


def test_a_file_in_no_folder_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no/folder.json" in error_of([*COMMAND, "--dry-run", "-o", "no/folder.json"], capsys)


def test_entity_and_project_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert "entity" in error_of(["dashboard", "--project", "p"], capsys)
    assert "project" in error_of(["dashboard", "--entity", "e"], capsys)
