"""Data, checkpoints and snapshots of someone else are data: each way to run code through one leaves no marker."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks.trainer import best_checkpoint
from adaptive_dropout.cli.errors import one_line
from adaptive_dropout.cli.tune.trials import Trials
from adaptive_dropout.data import Arrays, ImageFolder, Text
from adaptive_dropout.steering import ControlLoop, Snapshot
from adaptive_dropout.tracking.wandb.logger import _rates_in
from tests.cli.foreign import EVIL, LOOKS_LIKE_AN_ERROR, Touch, check_that_no_code_runs, pickled

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"


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


WAYS: dict[str, Callable[[], object]] = {
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
    check_that_no_code_runs(WAYS[way], folder)
