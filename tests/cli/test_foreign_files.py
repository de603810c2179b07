"""Files that someone else wrote are data: each way to run code through one is tried with a module that leaves a marker.

The module is importable, which is the worst case: a colleague's folder on ``PYTHONPATH``.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks.trainer import best_checkpoint
from adaptive_dropout.cli import main
from adaptive_dropout.cli.errors import one_line
from adaptive_dropout.cli.report.reported import Reported
from adaptive_dropout.cli.tune.trials import Trials
from adaptive_dropout.data import Arrays, ImageFolder, Text
from adaptive_dropout.steering import ControlLoop, Snapshot
from adaptive_dropout.tracking import read_run
from adaptive_dropout.tracking.wandb.logger import _rates_in
from tests.cli.commands import CONFIGS, CPU, ONE_THREAD, config, error_of
from tests.tracking.test_run import recorded

EVIL = {"class_path": "evil.Evil", "init_args": {}}
LOOKS_LIKE_AN_ERROR = "option 'x' is not accepted, class_path 'evil.Evil'"
TAGGED = "data: !!python/object/apply:os.system ['touch marker']\nmodel: {class_path: evil.Evil, init_args: [1]}\n"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"


class Touch:
    """Unpickling it leaves the marker."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {Path('marker').absolute()}",)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in whose ``evil.py`` can be imported, and whose ``bin/gs`` is the first Ghostscript."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    marker = tmp_path / "marker"
    code = f"from adaptive_dropout import GapController as Evil\nopen({str(marker)!r}, 'w').close()\n"
    Path("evil.py").write_text(code)
    Path("bin").mkdir()
    Path("bin/gs").write_text(f"#!/bin/sh\ntouch {marker}\n")
    Path("bin/gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    yield tmp_path
    sys.modules.pop("evil", None)


def write_run(decision: dict[str, Any] | None = None, **header: Any) -> None:
    """Write ``decisions.jsonl`` with these entries of the header, and of the third decision, changed."""
    run = recorded()
    del run.decisions[10:]
    lines = [json.loads(line) for line in run.lines()]
    lines[0] |= header
    lines[3] |= decision or {}
    Path("decisions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


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


def raw(file: str, content: bytes, read: Callable[[str], object]) -> Callable[[], object]:
    def attempt() -> object:
        Path(file).write_bytes(content)
        return read(file)

    return attempt


def pickled(file: str, read: Callable[[str], object]) -> Callable[[], object]:
    return lambda: raw(file, pickle.dumps(Touch()), read)()


def configured() -> None:
    write_run()
    Path("config.yaml").write_text(TAGGED)
    notes: list[str] = []
    (note,) = Reported.of("a", read_run("."), Path("."), notes).notes
    assert note.startswith("config.yaml cannot be read")
    Path("config.yaml").write_text(TAGGED.partition("\n")[2])
    assert Reported.of("a", read_run("."), Path("."), notes).facts()["task"] == "Evil()"


def objects() -> None:
    np.savez("x.npz", x=np.array([Touch()] * 8, dtype=object), y=np.arange(8.0))
    Arrays("x.npz")


def array_header() -> None:
    header = b"{'descr': __import__('evil'), 'fortran_order': False, 'shape': (1,)}".ljust(117) + b"\n"
    Path("x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8)
    np.savez("x.npz", y=np.arange(8.0))
    with zipfile.ZipFile("x.npz", "a") as archive:
        archive.write("x.npy")
    Arrays("x.npz")


def postscript(name: str) -> Callable[[], object]:
    def attempt() -> None:
        from PIL import Image

        for part in ("train", "val"):
            for kind in ("a", "b"):
                Path(part, kind).mkdir(parents=True)
                Image.new("RGB", (20, 20)).save(Path(part, kind, "1.png"))
        Path("val/a", name).write_bytes(POSTSCRIPT)
        data = ImageFolder(".", image_size=8, num_workers=0, val_fraction=0.5)
        data.setup()
        for place in range(len(data.test_set)):  # type: ignore[arg-type]
            data.test_set[place]

    return attempt


def stale_snapshot() -> None:
    Path("snapshot.pt").write_bytes(pickle.dumps(Touch()))
    snapshot = Snapshot(nn.Linear(2, 2), folder=".")
    with pytest.raises(RuntimeError):
        snapshot.restore()
    snapshot.take()
    snapshot.restore()


def exchanged_snapshot() -> None:
    snapshot = Snapshot(nn.Linear(2, 2), folder=".")
    snapshot.take()
    torch.save({"writer": Touch()}, "snapshot.pt")
    snapshot.restore()


def checkpoint_of(**changed: Any) -> Callable[[], object]:
    def attempt() -> None:
        model = nn.Sequential(nn.Linear(2, 2), ad.Dropout(0.3))
        loop = ControlLoop(ad.GapController(), model, warn=lambda line: None)
        loop.decide({"step": 1, "train_loss": 1.0, "val_loss": 1.0})
        loop.load_state_dict(loop.state_dict() | changed)

    return attempt


def address() -> None:
    saved = ModelCheckpoint()
    saved.best_model_path = "https://127.0.0.1/x.ckpt"  # as a checkpoint can say
    assert best_checkpoint(type("Trainer", (), {"checkpoint_callback": saved})) is None  # type: ignore[arg-type]


def uploaded() -> None:
    torch.save({"callbacks": {"a": {"decisions": [Touch()]}}}, "best.ckpt")
    with pytest.warns(UserWarning, match="is not a checkpoint"):
        _rates_in("best.ckpt")


def cell() -> None:
    Path("x.csv").write_text(f'a,y\n1.0,2.0\n"{LOOKS_LIKE_AN_ERROR}",2.0\n')
    with pytest.raises(ValueError, match="not a number") as told:
        Arrays("x.csv")
    one_line(told.value)


def trial() -> None:
    trials = Trials(Path("tune"), "a: 1\n")
    Path("tune/p-0.1-fold-0.json").write_bytes(pickle.dumps(Touch()))
    with pytest.raises(ValueError, match="holds no validation loss; delete it"):
        trials.get(0.1, 0)


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
    "npz: objects": objects,
    "npz: pickle": pickled("x.npz", Arrays),
    "npz: code as the type of an array": array_header,
    "csv: pickle": pickled("x.csv", Arrays),
    "csv: text that looks like an error of the parser": cell,
    "text: pickle": pickled("x.txt", Text),
    "image: PostScript called .jpg": postscript("2.jpg"),
    "image: PostScript called .png": postscript("2.png"),
    "image: PostScript called .ppm": postscript("2.ppm"),
    "image: PostScript called .eps": postscript("2.eps"),
    "image: pickle": lambda: (Path("val/a").mkdir(parents=True), postscript("2.eps")())[1],
    "snapshot: pickle from before the run": stale_snapshot,
    "snapshot: pickle put there while it runs": exchanged_snapshot,
    "checkpoint: controller": checkpoint_of(controller=EVIL),
    "checkpoint: address as the best checkpoint": address,
    "checkpoint: pickle among decisions": uploaded,
    "tune: pickled result": trial,
}


@pytest.mark.parametrize("way", WAYS)
def test_no_code_runs(way: str, folder: Path) -> None:
    try:
        WAYS[way]()
    except AssertionError:
        raise
    except Exception as error:  # most are refused
        told = one_line(error)
    else:
        told = ""
    assert "\n" not in told
    assert not (folder / "marker").exists()
    assert "evil" not in sys.modules


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
