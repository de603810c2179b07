"""``adaptive-dropout replay``: a table, a figure, and what is wrong in one line."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.image
import pytest

from adaptive_dropout.cli import main
from tests.cli.commands import error_of
from tests.tracking.test_run import recorded

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds a run, to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("HOME", str(tmp_path))
    run = recorded()
    del run.decisions[50:]  # where validation diverges, with which most rules cannot go on
    Path("decisions.jsonl").write_text("".join(f"{line}\n" for line in run.lines()))
    return tmp_path


def replayed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["replay", ".", *arguments]) == 0
    return capsys.readouterr().out


def test_the_runs_own_controller_decides_as_the_run_did(capsys: pytest.CaptureFixture[str]) -> None:
    output = replayed(capsys)
    assert "RewindController decides as the run did, 50 of 50 times" in output
    assert "validation stalled, rewound to" in output
    assert "\x1b[" not in output, "colour codes in a pipe"


def test_another_controller_is_shown_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    output = replayed(capsys, "--controller", "GapController", "--controller.high=-1", "--controller.low=-2")
    # 0.2 at the start is the mean of 0.3 and 0.1; each decision raises both by 0.02.
    first = re.search(r"│ 10 +│ +0\.9286 │ +1\.0000 │ +0\.\d{3} │ +0\.220 │ gap -0\.0714 above -1\.0: raised", output)
    assert first, output
    assert "GapController has other rates after 50 of 50 decisions" in output
    figure = matplotlib.image.imread("replay.png")
    assert figure.shape[0] > 500
    assert figure.std() > 0.05


def test_settings_of_a_controller_in_a_controller_are_given_by_their_path(capsys: pytest.CaptureFixture[str]) -> None:
    inner = ["--controller.controller", "PlateauController", "--controller.controller.patience", "1"]
    output = replayed(capsys, "--controller", "Clip", *inner, "--controller.high", "0.35", "-o", "other.png")
    assert "kept within [0, 0.35]" in output
    assert Path("other.png").exists()


CASES = {
    "unknown run": (["nowhere"], "no run at 'nowhere'; give the folder of a run, its decisions.jsonl, a .wandb file"),
    "nobody logged in": (["somebody/p/r"], "no folder 'somebody/p/r' here, and nobody is logged in to W&B"),
    "no run": ([], "the following arguments are required: run"),
    "unknown controller": ([".", "--controller", "Nope"], "no controller 'Nope'; there are BalanceController, Chain"),
    "unknown setting": (
        [".", "--controller", "GapController", "--controller.hi", "1"],
        "'hi' is not accepted; did you mean 'high'?",
    ),
    "bad setting": (
        [".", "--controller", "PlateauController", "--controller.patience", "0"],
        "patience has to be at least 1, but got 0",
    ),
    "missing signal": ([".", "--controller", "HypergradientController"], "no signal named 'hypergradient/a'"),
    "no folder for the figure": ([".", "-o", "nowhere/replay.png"], "nowhere"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_in_one_line(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, expected = CASES[case]
    assert expected in error_of(["replay", *arguments], capsys)


def test_a_truncated_run_is_replayed_as_far_as_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("decisions.jsonl").write_bytes(Path("decisions.jsonl").read_bytes()[:-100])
    assert main(["replay", "."]) == 0
    out, err = capsys.readouterr()
    assert "decides as the run did, 49 of 49 times" in out
    assert err.startswith("adaptive-dropout: warning: . is broken in line 51 (Unterminated string")
    assert err.endswith("); the 49 decisions before it were read\n")
    assert err.count("\n") == 1
