"""Running the command line, inside the test's process or in one of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_dropout.cli import main

CONFIGS = Path(__file__).parents[2] / "configs"
CPU = ["--trainer.accelerator", "cpu"]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""For a process that trains: on a busy machine threads that wait for each other cost several times as much."""


def config(*names: str) -> list[str]:
    """``--config`` for each of the project's configurations."""
    return [word for name in names for word in ("--config", str(CONFIGS / f"{name}.yaml"))]


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that has to fail; return its one line of complaint."""
    capsys.readouterr()
    assert main([*arguments]) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    complaint = err.strip().splitlines()[-1]
    assert complaint.startswith("adaptive-dropout: error: "), err
    return complaint.removeprefix("adaptive-dropout: error: ")
