from __future__ import annotations

import subprocess
import sys
import time

import pytest

import adaptive_dropout


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], []])
def test_it_answers_within_two_seconds(arguments: list[str]) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "adaptive_dropout", *arguments], capture_output=True, text=True, check=True
    )
    assert time.monotonic() - began < 2
    expected = adaptive_dropout.__version__ if arguments == ["--version"] else "fit "
    assert expected in done.stdout
