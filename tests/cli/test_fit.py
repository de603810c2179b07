"""The main job from end to end, and what the user sees of it."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest
import torch

import adaptive_dropout as ad
from adaptive_dropout.cli import main
from tests.cli.commands import CONFIGS, CPU, ONE_THREAD, config
from tests.tracking.inspected import history_of

# RewindController wants 20 validations in a run; the first one is enough to ask what was written, and stops it.
PARTITION = """
trainer:
  callbacks:
    - class_path: adaptive_dropout.callbacks.DropoutRateControl
      init_args:
        controller:
          class_path: adaptive_dropout.Partition
          init_args:
            controllers:
              "network.dropout1*": {class_path: adaptive_dropout.RewindController}
              "*": {class_path: adaptive_dropout.FixedController}
    - class_path: lightning.pytorch.callbacks.EarlyStopping
      init_args: {monitor: val_loss, stopping_threshold: 1000.0, patience: 10}
"""


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The README's quickstart, shortened, in a folder and a process of its own."""
    folder = tmp_path_factory.mktemp("quickstart")
    command = [sys.executable, "-m", "adaptive_dropout", "fit", "--config", str(CONFIGS / "quickstart.yaml")]
    command += [*CPU, "--trainer.max_epochs", "25", "--trainer.enable_progress_bar", "false"]
    root = str(CONFIGS.parent)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": root, "COLUMNS": "120", **ONE_THREAD}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Unable to serialize" not in done.stderr
    return folder, done.stdout


def place(output: str, what: str) -> Path:
    match = re.search(rf"^{what} +(\S+)$", output, re.M)
    assert match, f"no {what} in {output}"
    return Path(match[1])


@pytest.mark.slow
def test_it_shows_test_metrics_beside_validations_and_the_rates(quickstart: tuple[Path, str]) -> None:
    _, output = quickstart
    assert re.search(r"metric +. +validation +. +test", output)
    assert re.search(r"accuracy +│ +0\.\d{4} +│ +0\.\d{4}", output)
    assert re.search(r"network\.dropout1 +│ +0\.200 +│ +0\.\d{3} +│ +0\.\d{3} +│ +0\.\d{3}", output)
    assert "\x1b[" not in output, "colour codes in a pipe"


@pytest.mark.slow
def test_run_checkpoint_and_figure_are_where_it_says(quickstart: tuple[Path, str]) -> None:
    folder, output = quickstart
    assert (folder / place(output, "run") / "config.yaml").exists()
    assert torch.load(folder / place(output, "checkpoint"), weights_only=True)["global_step"] > 0
    figure = matplotlib.image.imread(folder / place(output, "figure"))
    assert figure.shape[0] > 500
    assert figure.std() > 0.05
    assert (folder / place(output, "W&B")).is_dir()


@pytest.mark.slow
def test_the_configuration_beside_the_run_runs_again(
    quickstart: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output = quickstart
    written = folder / place(output, "run") / "config.yaml"
    assert "Unable to serialize" not in written.read_text()
    assert "SlopeController" in written.read_text()  # a default, spelled out
    monkeypatch.chdir(tmp_path)
    short = ["--trainer.max_epochs", "20", "--trainer.limit_train_batches", "1", "--trainer.logger", "false"]
    assert main(["fit", "--config", str(written), *short]) == 0


@pytest.mark.slow
def test_defaults_inside_of_a_partition_are_spelled_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "control.yaml").write_text(PARTITION)
    short = ["--trainer.max_epochs=20", "--trainer.limit_train_batches=1", "--trainer.logger=false"]
    arguments = [*config("data/digits", "dropout/standard", "trainer/quick"), *CPU, "--config", "control.yaml", *short]
    assert main(["fit", *arguments]) == 0
    (written,) = tmp_path.rglob("config.yaml")
    assert "SlopeController" in written.read_text()
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    assert main(["fit", "--config", str(written)]) == 0


@pytest.mark.slow
def test_the_wandb_run_read_back_holds_every_rate_at_every_decision(quickstart: tuple[Path, str]) -> None:
    folder, output = quickstart
    (run_file,) = (folder / place(output, "W&B")).glob("run-*.wandb")
    rows = history_of(run_file)
    decisions = [row for row in rows if "dropout_control/val_loss" in row]
    assert len(decisions) == 25
    # The controller decides again on the signals that were logged: the rates have to be the same to the last bit.
    controller = ad.RewindController()
    start = controller.init({"network.dropout1": 0.2, "network.dropout2": 0.2})
    names = ("train_loss", "val_loss", "clean_loss", "gap_z", "clean_drop_z", "trivial_loss", "step", "total_steps")
    signals = [{n: d[f"dropout_control/{n}"] for n in names} for d in decisions]
    states = list(itertools.accumulate(signals, controller.update, initial=start))[1:]
    for layer in ("dropout1", "dropout2"):
        logged = [decision[f"dropout/network_{layer}"] for decision in decisions]
        assert logged == [state.rates[f"network.{layer}"] for state in states]
    assert [d["dropout_control/best"] for d in decisions] == [s.best for s in states]  # type: ignore[attr-defined]
    assert len({decision["dropout/network_dropout1"] for decision in decisions}) > 1, "the rates never moved"
    validations = {r["trainer/global_step"]: r["val_loss"] for r in rows if "val_loss" in r}
    assert {d["trainer/global_step"]: d["dropout_control/val_loss"] for d in decisions} == validations
    ends = [decisions[-1]["dropout/network_dropout1"], decisions[0]["dropout/network_dropout1"]]
    shown = re.search(r"network\.dropout1 +│ +(0\.\d{3}) +│ +(0\.\d{3})", output)
    assert shown
    assert [float(shown[2]), float(shown[1])] == pytest.approx(ends, abs=6e-4)
    assert any(name.startswith("dropout_rates") for row in rows for name in row), "the figure was not logged"
    assert any("test_accuracy" in row for row in rows)


@pytest.mark.slow
def test_a_run_without_a_logger_leaves_figure_and_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [*config("data/digits", "dropout/linear_schedule", "trainer/quick"), *CPU, "--trainer.logger=false"]
    assert main(["fit", *arguments, "--trainer.enable_progress_bar=false"]) == 0
    output = capsys.readouterr().out
    assert place(output, "figure").exists()
    assert place(output, "checkpoint").exists()
    rates = re.search(r"network\.dropout1 +│ +0\.500 +│ +(\d\.\d{3})", output)
    assert rates
    assert float(rates[1]) < 0.05
    again = ["test", *arguments, "--ckpt_path", str(place(output, "checkpoint")), "--trainer.enable_progress_bar=false"]
    assert main(again) == 0
    assert "test_accuracy" in capsys.readouterr().out
