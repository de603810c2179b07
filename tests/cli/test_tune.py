"""Cross-validation of one fixed rate: every run once, resumable, and a choice that can be checked by hand."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adaptive_dropout.cli import main
from adaptive_dropout.cli.tune.choice import Score, choose
from adaptive_dropout.cli.tune.trial import Trial
from tests.cli.commands import CPU, ONE_THREAD, config, error_of

pytestmark = pytest.mark.slow

TINY = [
    *config("data/digits", "dropout/standard", "trainer/quick"),
    *("--data.init_args.n_train", "50", "--model.init_args.network.init_args.hidden", "[8]"),
    *CPU,
    *("--trainer.max_epochs", "1", "--folds", "2"),
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


def run_here(work: Callable[[Any], Any], items: Sequence[Any], jobs: int) -> Iterator[tuple[Any, Any]]:
    """In place of processes, whose imports take seconds."""
    for item in items:
        yield item, work(item)


@pytest.fixture
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adaptive_dropout.cli.tune.command.run_in_processes", run_here)


def tuned(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["tune", *TINY, *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("_no_process")
def test_the_chosen_rate_is_trained_in_every_fold_and_nothing_twice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tuned(capsys, "--rates", "0.9", "0")
    assert "2 rates x 2 folds = 4 training runs\n" in output
    runs = [json.loads(file.read_text()) for file in sorted(Path("runs/tune").glob("p-*.json"))]
    assert [(run["p"], run["fold"]) for run in runs] == [(0.0, 0), (0.0, 1), (0.9, 0), (0.9, 1)]
    losses = [run["val_loss"] for run in runs]
    # After a few steps a network of eight units that drops nine in ten knows less than one that drops none.
    mean = (losses[0] + losses[1]) / 2
    error = abs(losses[0] - losses[1]) / 2
    assert mean < (losses[2] + losses[3]) / 2
    assert losses[0] != losses[1]
    assert re.search(rf"│ 0 +│ +{mean:.4f} │ +{error:.4f} │ lowest", output), output
    assert "chosen  p = 0, the lowest mean" in output

    trained = []
    monkeypatch.setattr(Trial, "val_loss", lambda self, p, fold, folds: trained.append((p, fold)) or 1.5)
    Path("runs/tune/p-0.9-fold-1.json").unlink()  # as if it had been stopped there
    again = tuned(capsys, "--rates", "0", "0.9")
    assert trained == [(0.9, 1)]
    assert "4 training runs, 3 of them already done" in again

    complaint = error_of(["tune", *TINY, "--data.init_args.n_train", "60"], capsys)
    assert complaint == "'runs/tune' holds runs of another configuration; give another folder as --output"


@pytest.mark.slow
def test_kill_9_loses_no_run_and_repeats_none_and_the_jobs_change_no_number(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rates = ["--rates", "0", "0.3", "0.6", "0.9", "--trainer.max_epochs", "10"]
    command = [sys.executable, "-m", "adaptive_dropout", "tune", *TINY, *rates, "--jobs", "2"]
    process = subprocess.Popen(command, env=os.environ | ONE_THREAD, stdout=subprocess.DEVNULL)
    folder = tmp_path / "runs" / "tune"
    end = time.monotonic() + 300
    while len(list(folder.glob("p-*.json"))) < 2:
        assert time.monotonic() < end, "waited too long"
        assert process.poll() is None, "it ended by itself"
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = {file: file.stat().st_mtime_ns for file in folder.glob("p-*.json")}
    assert 2 <= len(done) < 8
    again = tuned(capsys, *rates, "--jobs", "2")
    assert f"8 training runs, {len(done)} of them already done" in again
    assert {file: file.stat().st_mtime_ns for file in done} == done
    assert len(list(folder.glob("p-*.json"))) == 8
    alone = tuned(capsys, *rates, "--jobs", "1", "--output", "runs/alone")
    for file in folder.glob("p-*.json"):
        assert file.read_text() == (tmp_path / "runs" / "alone" / file.name).read_text()
    start, end_of_table = "validation loss over 2 folds", "runs  "
    assert again.partition(start)[2].partition(end_of_table)[0] == alone.partition(start)[2].partition(end_of_table)[0]


@pytest.mark.usefixtures("_no_process")
def test_a_run_that_fails_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(work: Callable[[Any], Any], items: Sequence[Any], jobs: int) -> Iterator[tuple[Any, Exception]]:
        yield items[0], RuntimeError("its process died 3 times")

    monkeypatch.setattr("adaptive_dropout.cli.tune.command.run_in_processes", fail)
    complaint = error_of(["tune", *TINY, "--rates", "0.3"], capsys)
    assert complaint == "training with p = 0.3 failed in fold 0: its process died 3 times"


CASES = {
    "one fold": (["--folds", "1"], "folds has to be at least 2, but got 1"),
    "no process": (["--jobs", "0"], "jobs has to be at least 1, but got 0"),
    "no probability": (["--rates", "0.5", "1.5"], "a rate has to be between 0 and 1, but got 1.5"),
    "no number": (["--rates", "much"], "much"),
    "steered": (config("control/gap"), "tune compares fixed rates, but DropoutRateControl would move them"),
    "scheduled": (config("dropout/curriculum"), "tune compares fixed rates, but rate 'network.dropout1' is written by"),
    "unknown key": (["--fold", "3"], "fold"),
    "other size": (["--model.init_args.network.init_args.in_features", "65"], "in_features is 65, but the data has 64"),
}


@pytest.mark.parametrize(("arguments", "message"), list(CASES.values()), ids=list(CASES))
def test_what_is_wrong_is_said_in_one_line_before_any_training(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Trial, "val_loss")
    assert message in error_of(["tune", *TINY, *arguments], capsys)
    assert not Path("runs").exists()


def test_the_choice_is_the_lowest_mean_and_the_strongest_within_its_standard_error() -> None:
    # Means 2, 1, 1.2, 1.3; the error of the lowest is 0.25.
    losses = {0.5: [1.0, 1.6], 0.1: [0.75, 1.25], 0.0: [2.0, 2.0], 0.3: [1.2, 1.2]}
    choice = choose(losses)
    assert list(choice.scores) == [0.0, 0.1, 0.3, 0.5]
    assert choice.scores[0.1] == Score(1.0, pytest.approx(0.25))
    assert (choice.best, choice.strongest) == (0.1, 0.3)


def test_a_rate_that_diverged_is_not_chosen() -> None:
    choice = choose({0.0: [1.0, 2.0], 0.9: [0.5, math.inf]})
    assert (choice.best, choice.strongest) == (0.0, 0.0)
    with pytest.raises(ValueError, match="no rate was trained to a finite validation loss"):
        choose({0.5: [math.nan, 1.0]})
