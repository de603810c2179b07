"""What the commands have in common: nothing heavy is imported for it, and the process keeps its own arguments."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adaptive_dropout.cli import main
from adaptive_dropout.cli.setup import STRICT, given
from tests.cli.commands import config, error_of


def test_reading_arguments_waits_for_neither_torch_nor_lightning() -> None:
    code = "import sys, adaptive_dropout.cli.setup; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "lightning"} & set(loaded)


def test_arguments_are_those_of_the_process_only_inside() -> None:
    before = list(sys.argv)
    with given(["fit", "--help"]):
        assert sys.argv[1:] == ["fit", "--help"]
    assert sys.argv == before


@pytest.mark.parametrize("command", ["fit", "tune"])
def test_a_command_that_fails_leaves_the_arguments_of_the_process(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(sys.argv)
    assert "nonsense" in error_of([command, *config("data/digits", "dropout/standard"), "--nonsense", "1"], capsys)
    assert sys.argv == before
    assert main(["--version"]) == 0


def test_a_command_after_fit_in_one_process_has_a_parser_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nonsense" in error_of(["fit", *config("data/digits", "dropout/standard"), "--nonsense", "1"], capsys)
    assert "required: runs" in error_of(["report"], capsys)
    assert dict(STRICT) == {"exit_on_error": False, "allow_abbrev": False}
