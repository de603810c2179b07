"""Bad input at the command line: one line that names the value and what would be right, exit code 2, no traceback."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from adaptive_dropout.cli import main
from tests.cli.commands import CPU, config, error_of

DROPOUT = "--model.init_args.network.init_args.dropout.init_args.p"
RUN = [*config("data/digits", "dropout/standard", "trainer/quick"), *CPU, "--trainer.logger=false"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


CASES = {
    "p above 1": ([DROPOUT, "1.5"], "p has to be between 0 and 1, but got 1.5"),
    "p that is text": ([DROPOUT, "abc"], "model.network.dropout.p: Expected a float. Got value: abc"),
    "unknown key of the trainer": (["--trainer.max_epoch", "3"], "--trainer.max_epoch 3; did you mean 'max_epochs'?"),
    "unknown key of the model": (
        ["--model.init_args.netwrk", "3"],
        "'netwrk' is not accepted; did you mean 'network'?",
    ),
    "unknown key far from any": (["--data.init_args.zzz", "1"], "Digits takes batch_size, n_train, label_noise"),
    "unknown class": (["--data", "adaptive_dropout.data.Digts"], "'adaptive_dropout.data' has no attribute 'Digts'"),
    "a number that is text": (["--trainer.max_epochs", "x"], "trainer.max_epochs: Expected a int. Got value: x"),
    "missing config": (["--config", "nope.yaml"], "File does not exist"),
    "too many examples": (["--data.init_args.n_train", "5000"], "n_train has to be between 10"),
    "no dropout": (
        [*config("control/fixed"), "--model.init_args.network.init_args.dropout", "torch.nn.Dropout"],
        "DropoutRateControl finds no SettableRate in the model",
    ),
    "empty model": (
        ["--model.init_args.network.init_args.hidden", "[]"],
        "hidden has to hold at least one size, but got []",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_fit_says_what_is_wrong(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, expected = CASES[case]
    assert expected in error_of(["fit", *RUN, *arguments], capsys)
    assert not list(Path().rglob("*.ckpt")), "it trained before it complained"


def test_nan_in_a_configuration_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("nan.yaml").write_text("model: {init_args: {network: {init_args: {dropout: {init_args: {p: .nan}}}}}}")
    assert error_of(["fit", *RUN, "--config", "nan.yaml"], capsys) == "p has to be between 0 and 1, but got nan"


def test_a_broken_configuration_is_located(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.yaml").write_text("trainer: {max_epochs: [1")
    assert "line 1" in error_of(["fit", *RUN, "--config", "broken.yaml"], capsys)


def test_an_unknown_key_in_a_configuration_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("typo.yaml").write_text("trainer: {max_epoch: 3}")
    assert "'trainer.max_epoch'; did you mean 'max_epochs'?" in error_of(["fit", *RUN, "--config", "typo.yaml"], capsys)


def test_a_missing_monitor_names_the_metrics_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = ["--trainer.callbacks.init_args.monitor", "vall"]
    complaint = error_of(["fit", *RUN, *config("control/plateau"), *monitor], capsys)
    metrics = ["val_accuracy", "val_calibration_error", "val_loss"]
    assert complaint == f"monitor 'vall' is not logged; the metrics at validation are {metrics}"


@pytest.mark.slow
def test_a_loss_that_diverges_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    optimizer = ["--model.init_args.optimizer", "torch.optim.SGD", "--model.init_args.optimizer.init_args.lr", "1e30"]
    complaint = error_of(["fit", *RUN, *config("control/plateau"), *optimizer], capsys)
    assert complaint.startswith("no decision: val_loss is nan at step ")
    assert "lower the learning rate" in complaint


@pytest.mark.slow
def test_a_missing_folder_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for data in ("data/mnist", "data/cifar10", "data/image_folder"):
        complaint = error_of(["fit", *config(data), "--data.init_args.root", "nowhere"], capsys)
        assert "nowhere" in complaint, data


def test_a_corrupt_npz_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.npz").write_bytes(b"PK\x03\x04 garbage")
    assert "data.npz: not a readable .npz file" in error_of(
        ["fit", *config("data/table"), "--data.init_args.path", "data.npz"], capsys
    )


def test_a_table_of_another_width_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("data.npz", x=np.random.default_rng(0).normal(size=(50, 3)), y=np.linspace(0.0, 1.0, 50))
    complaint = error_of(["fit", *config("data/table", "trainer/quick"), "--data.init_args.path", "data.npz"], capsys)
    assert (
        "network.in_features is 10, but the data has 3; set --model.init_args.network.init_args.in_features 3"
        in complaint
    )


def test_wandb_without_an_account_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    assert "nobody is logged in; run `wandb login`" in error_of(["fit", *RUN[:-1], *config("logger/wandb")], capsys)


def test_an_unknown_command_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        error_of(["fitt"], capsys)
        == "no command 'fitt'; there are fit, validate, test, predict, tune, inventory, replay, report, dashboard"
    )


def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "required" in error_of(["fit"], capsys)


def test_debug_shows_where_it_came_from() -> None:
    with pytest.raises(Exception, match=r"1\.5"):
        main(["fit", *RUN, DROPOUT, "1.5", "--debug"])


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("trainer.default_root_dir", "link"),
        ("trainer.default_root_dir", "file.txt/run"),
        ("checkpoint.dirpath", "file.txt"),
        ("trainer.callbacks.folder", "file.txt"),
        ("trainer.callbacks.folder", f"new/{'a' * 300}"),
        ("trainer.logger.init_args.save_dir", "file.txt"),
    ],
)
def test_a_folder_that_cannot_be_is_refused_before_anything_is_made(
    setting: str, place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file.txt").write_text("1")
    Path("link").symlink_to("nowhere")
    monkeypatch.setattr("adaptive_dropout.data.Digits.prepare_data", lambda self: pytest.fail("data were prepared"))
    run = RUN[:-1] if "logger" in setting else RUN
    steered = ["--trainer.callbacks+=adaptive_dropout.callbacks.AdaptiveDropout"] * ("callbacks" in setting)
    complaint = error_of(["fit", *run, *steered, f"--{setting}={place}"], capsys)
    assert re.search(
        r"file\.txt' is a file; name a folder|make that folder, or name|the name 'a+…a+' is longer", complaint
    )
    assert "Errno" not in complaint
    assert sorted(path.name for path in Path().iterdir()) == ["file.txt", "link"]


@pytest.mark.parametrize("command", ["report", "replay", "dashboard", "tune"])
def test_a_place_to_write_to_that_cannot_be_is_refused_at_once(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file.txt").write_text("1")
    arguments = {
        "report": ["run", "-o"],
        "replay": ["run", "-o"],
        "dashboard": ["--entity=e", "--project=p", "--dry-run", "-o"],
        "tune": [*RUN[:-1], "--output"],
    }
    assert error_of([command, *arguments[command], "file.txt/new/a"], capsys) == (
        f"no folder can be made at 'file.txt/new{'/a' * (command == 'tune')}': 'file.txt' is a file; "
        "name a folder, or a new place"
    )


@pytest.mark.parametrize("command", ["report", "replay"])
@pytest.mark.parametrize("run", ["file.txt/run", "link", "a" * 300])
def test_a_run_that_cannot_be_is_named(command: str, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file.txt").write_text("1")
    Path("link").symlink_to("nowhere")
    assert re.match(
        r"no run at '(file\.txt/run|link|a+…a+|a{300})'; give the folder of a run", error_of([command, run], capsys)
    )
