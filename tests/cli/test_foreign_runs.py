"""Someone else's run folder is data: each way to run code through what lies in it is tried with a module that marks.

The module is importable, which is the worst case: a colleague's folder on ``PYTHONPATH``.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adaptive_dropout.cli import main
from adaptive_dropout.cli.report.reported import Reported
from adaptive_dropout.tracking import read_run
from tests.cli.commands import CONFIGS, CPU, ONE_THREAD, config, error_of
from tests.cli.foreign import EVIL, LOOKS_LIKE_AN_ERROR, Touch, check_that_no_code_runs, pickled, raw, write_run
from tests.tracking.test_run import recorded

TAGGED = "data: !!python/object/apply:os.system ['touch marker']\nmodel: {class_path: evil.Evil, init_args: [1]}\n"


def replay_of(*arguments: str, **changed: Any) -> Callable[[], object]:
    def attempt() -> None:
        write_run(**changed)
        main(["replay", ".", *arguments, "-o", "nowhere/figure.png"])  # which fails before it takes time to draw

    return attempt


def replay_beside(name: str, *arguments: str) -> Callable[[], object]:
    """Replay with a configuration in the folder that is called ``name`` and names the module."""

    def attempt() -> None:
        Path(name).write_text(json.dumps(EVIL))
        main(["replay", "nowhere", "--controller", *arguments])

    return attempt


def configured() -> None:
    write_run()
    Path("config.yaml").write_text(TAGGED)
    notes: list[str] = []
    (note,) = Reported.of("a", read_run("."), Path("."), notes).notes
    assert note.startswith("config.yaml cannot be read")
    Path("config.yaml").write_text(TAGGED.partition("\n")[2])
    assert Reported.of("a", read_run("."), Path("."), notes).facts()["task"] == "Evil()"


NESTED = {"class_path": "adaptive_dropout.Clip", "init_args": {"controller": EVIL}}
CHAINED = {"class_path": "adaptive_dropout.Chain", "init_args": {"controllers": [EVIL]}}
STATE = json.loads(recorded().lines()[0])["state"]
WAYS: dict[str, Callable[[], object]] = {
    "run: controller": replay_of(controller=EVIL),
    "run: controller in a wrapper": replay_of(controller=NESTED),
    "run: controller in a list": replay_of(controller=CHAINED),
    "run: controller as a setting of another kind": replay_of(
        controller={"class_path": "adaptive_dropout.GapController", "init_args": {"high": EVIL}}
    ),
    "run: class path with the module of another": replay_of(
        controller={"class_path": "adaptive_dropout.GapController.evil.Evil", "init_args": {}}
    ),
    "run: class path that is a list": replay_of(controller={"class_path": ["evil.Evil"], "init_args": {}}),
    "run: new controller of a decision": replay_of(decision={"controller": EVIL}),
    "run: class as a state": replay_of(state=EVIL),
    "run: class inside of a state": replay_of(state=STATE | {"inner": EVIL}),
    "run: class as a number of a state": replay_of(state=STATE | {"best": EVIL}),
    "run: class as a rate": replay_of(rates={"a": EVIL}),
    "run: class as a signal": replay_of(decision={"signals": {"val_loss": EVIL}}),
    "run: text that looks like an error of the parser": replay_of(controller=LOOKS_LIKE_AN_ERROR),
    "run: pickled decisions.jsonl": pickled("decisions.jsonl", read_run),
    "run: pickled .wandb": pickled("run-x.wandb", read_run),
    "run: .wandb that holds a pickle": lambda: raw(
        "run-x.wandb", b":W&B\xe1\xbe\x00" + bytes(4) + b"\x20\x00\x01" + pickle.dumps(Touch())[:32], read_run
    )(),
    "folder: file called like the controller": replay_beside("PlateauController", "PlateauController"),
    "folder: file called like the controller's path": replay_beside(
        "adaptive_dropout.PlateauController", "adaptive_dropout.PlateauController"
    ),
    "folder: file called like the controller in another": replay_beside(
        "PlateauController", "Clip", "--controller.controller", "PlateauController"
    ),
    "config.yaml: tags and class paths": configured,
}


@pytest.mark.parametrize("way", WAYS)
def test_no_code_runs(way: str, folder: Path) -> None:
    check_that_no_code_runs(WAYS[way], folder)


def test_the_markers_work(folder: Path) -> None:
    for spoil in (lambda: __import__("evil"), lambda: pickle.loads(pickle.dumps(Touch())), lambda: os.system("gs")):
        spoil()
        (folder / "marker").unlink()


# ---- in processes of their own: what is read when the interpreter or a library starts ----

CONSOLE = "import sys; sys.path[0] = '/nowhere'; from adaptive_dropout.cli import main; sys.exit(main())"
SHADOWS = ("rich", "yaml", "jsonargparse", "matplotlib", "wandb", "evil", "sitecustomize")


def start(folder: Path, *start: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(CONFIGS.parent)} | ONE_THREAD
    command = [sys.executable, *start]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("how", [["-m", "adaptive_dropout"], ["-c", CONSOLE]], ids=["python -m", "console"])
def test_modules_and_settings_of_the_folder_are_left_alone(how: list[str], folder: Path) -> None:
    write_run()
    for name in SHADOWS:
        (folder / f"{name}.py").write_text((folder / "evil.py").read_text())
    (folder / "matplotlibrc").write_text("backend: module://evil\ntext.usetex: True\n")
    (folder / ".numba_config.yaml").write_text("cache_dir: spoilt\n")
    replayed = start(folder, *how, "replay", ".")
    assert "decides as the run did" in replayed.stdout, replayed.stderr
    assert start(folder, *how, "report", ".").returncode == 0
    listed = start(folder, *how, "inventory", "--model", "adaptive_dropout.Dropout", "--shape", "64", "64")
    assert "1 can be moved" in listed.stdout, listed.stderr
    assert not (folder / "marker").exists()
    assert not (folder / "spoilt").exists(), "compiled functions, which are pickled, come from the folder"


@pytest.mark.slow
@pytest.mark.parametrize("key", ["_class_path", "network"])
def test_the_model_that_a_checkpoint_names_is_not_imported(
    key: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named: Any = "evil.Evil" if key == "_class_path" else EVIL
    torch.save({"hyper_parameters": {key: named}, "state_dict": {}, "callbacks": {}}, "x.ckpt")
    run = [*config("data/digits", "dropout/standard", "trainer/quick"), *CPU, "--trainer.logger=false"]
    error_of(["test", *run, "--ckpt_path", "x.ckpt"], capsys)  # it lacks the weights
    assert not (folder / "marker").exists()


@pytest.mark.slow
def test_a_file_called_like_the_class_in_a_configuration_is_not_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("adaptive_dropout.data.Digits", "adaptive_dropout.networks.MLP", "Adam"):
        Path(name).write_text(json.dumps(EVIL))
    run = [*config("data/digits", "dropout/standard", "trainer/quick"), *CPU]
    wrong = ["--data", "adaptive_dropout.data.Digits", "--model.network", "adaptive_dropout.networks.MLP"]
    error_of(["fit", *run, *wrong, "--model.optimizer", "Adam", "--data.batch_size", "0"], capsys)
    assert not (folder / "marker").exists()


@pytest.mark.slow
def test_pickled_snapshots_of_transformers_are_refused(folder: Path) -> None:
    checkpoint = pytest.importorskip("adaptive_dropout.callbacks.transformers.checkpoint")
    place = Path("checkpoint-0")
    place.mkdir()
    torch.save({"best": Touch()}, place / checkpoint.FILE)
    arguments = type("Arguments", (), {"output_dir": "."})
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.load_snapshots(arguments, type("State", (), {"global_step": 0}))
    assert not (folder / "marker").exists()
