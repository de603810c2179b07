"""Colours and moving lines in a terminal, and silence where it is asked for."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from adaptive_dropout.cli import main
from tests.cli.commands import CONFIGS, CPU, ONE_THREAD, config, error_of

RUN = [*config("data/digits", "dropout/standard", "control/plateau", "trainer/quick"), *CPU, "--trainer.logger=false"]


@pytest.fixture(autouse=True)
def _where_quiet_ends_with_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")


def in_a_terminal(folder: Path, *arguments: str) -> str:
    """Run the command line where both outputs are a terminal of 100 columns; return what it wrote there."""
    ours, theirs = pty.openpty()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(CONFIGS.parent)}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "100", **ONE_THREAD}
    command = [sys.executable, "-m", "adaptive_dropout", *arguments]
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        while part := _read(ours):
            written += part
    os.close(ours)
    assert process.returncode == 0, written.decode()
    return written.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so where the other end is closed
        return b""


@pytest.mark.slow
def test_a_terminal_shows_colours_rate_gap_decision_and_tables(tmp_path: Path) -> None:
    output = in_a_terminal(tmp_path, "fit", *RUN)
    assert "\x1b[" in output
    for shown in ("dropout: 0.", "gap: ", "decision: ", "best checkpoint", "rates of the run"):
        assert shown in output, shown


@pytest.mark.slow
def test_quiet_says_nothing_and_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "--quiet", *RUN]) == 0
    assert capfd.readouterr().out == ""
    assert list(tmp_path.rglob("*.ckpt"))


def test_quiet_still_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no run at 'nowhere'" in error_of(["report", "nowhere", "--quiet"], capsys)
