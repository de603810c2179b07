"""``adaptive-dropout replay`` in a stranger's folder: nothing that the run's file names is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adaptive_dropout.cli import main
from tests.cli.commands import CONFIGS, ONE_THREAD, error_of
from tests.tracking.test_run import recorded

EVIL = {"class_path": "evil.Evil", "init_args": {}}
NESTED = {"class_path": "adaptive_dropout.Clip", "init_args": {"controller": EVIL}}
CONSOLE = "import sys; from adaptive_dropout.cli import main; sys.exit(main())"
"""The console script that pip writes; ``sys.path[0]`` is then its own folder, not the current one."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``evil.py``, which leaves a marker where it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    code = "from adaptive_dropout import GapController as Evil\nopen('marker', 'w').close()\n"
    Path("evil.py").write_text(code)
    return tmp_path


def write_run(**header: Any) -> None:
    """Write ``decisions.jsonl`` with these entries of the header changed."""
    run = recorded()
    del run.decisions[10:]
    first, *rest = run.lines()
    Path("decisions.jsonl").write_text("\n".join([json.dumps(json.loads(first) | header), *rest]) + "\n")


@pytest.mark.parametrize("controller", [EVIL, NESTED], ids=["plain", "nested"])
def test_a_class_of_the_folder_is_named_and_not_imported(
    controller: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(folder)
    write_run(controller=controller)
    complaint = error_of(["replay", "."], capsys)
    assert "the file names the controller 'evil.Evil'" in complaint
    assert complaint.endswith("if you trust it, name it yourself with --controller")
    assert not Path("marker").exists()


def test_a_class_in_a_stored_state_is_not_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(folder)
    state = json.loads(recorded().lines()[0])["state"]
    for stored in (EVIL, state | {"inner": EVIL}, state | {"best": EVIL}):
        write_run(state=stored)
        error_of(["replay", "."], capsys)
    assert not Path("marker").exists()


def test_a_class_that_the_user_names_is_replayed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.py").write_text("from adaptive_dropout import GapController\nclass Mine(GapController): pass\n")
    monkeypatch.syspath_prepend(folder)
    write_run(controller=EVIL)
    assert main(["replay", ".", "--controller", "mine.Mine"]) == 0
    assert "Mine has other rates after" in capsys.readouterr().out
    assert not Path("marker").exists()
    monkeypatch.delitem(sys.modules, "mine")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "named", "complaint"),
    [
        ([CONFIGS.parent, "."], [], "the file names the controller 'evil.Evil'"),
        ([CONFIGS.parent], ["--controller", "evil.Evil"], "evil"),  # which would need PYTHONPATH=.
    ],
    ids=["PYTHONPATH=.", "named without PYTHONPATH"],
)
def test_the_console_command_imports_nothing_from_the_current_folder(
    path: list[str], named: list[str], complaint: str, folder: Path
) -> None:
    write_run(controller=NESTED)
    script = folder / "bin" / "adaptive-dropout"
    script.parent.mkdir()
    script.write_text(CONSOLE)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, str(script), "replay", ".", *named]
    done = subprocess.run(command, env=environment | ONE_THREAD, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]
    assert not Path("marker").exists()
