"""Data files that would take all memory, or all time, or give nonsense: refused in one line that names them."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from adaptive_dropout.data import MNIST, Arrays, Digits, ImageFolder
from benchmarks.reliability.hostile.data_files import bomb, mnist_file, write_pictures

pytest.importorskip("torchvision")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    write_pictures(random.Random(0), tmp_path)
    return tmp_path


def test_an_array_that_says_it_is_gigabytes_large_is_not_allocated(tmp_path: Path) -> None:
    bomb(random.Random(0), tmp_path / "x.npz")
    with pytest.raises(ValueError, match=r"x\.npz: not a readable .* has to take 17,179,869,184 bytes for its shape"):
        Arrays(tmp_path / "x.npz")


def test_an_array_that_unpacks_to_far_more_than_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adaptive_dropout.data.archives.ROOM", 2**16)
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((2**17, 1)), y=np.arange(2**17) % 2)
    with pytest.raises(ValueError, match=r"'x' would take 1,048,704 bytes, from a file of "):
        Arrays(tmp_path / "x.npz")


@pytest.mark.parametrize("number", ["1e300", "inf", "9" * 400])
def test_numbers_without_a_variance_are_refused(number: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,y\n1.0,0\n2.0,1\n" + f"{number},0\n3.0,1\n")
    with pytest.raises(ValueError, match=r"the inputs have to be (finite|at most 1e100)"):
        Arrays(tmp_path / "x.csv")


def test_classes_that_no_integer_holds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"a,y\n1.0,0\n2.0,{'9' * 400}\n1.0,0\n2.0,1\n")
    with pytest.raises(ValueError, match="integer targets are classes, up to 9007199254740992, but inf is one"):
        Arrays(tmp_path / "x.csv")


def test_labels_of_no_class_are_refused(tmp_path: Path) -> None:
    raw = tmp_path / MNIST.folder
    raw.mkdir(parents=True)
    for name in MNIST.files:
        (raw / name).write_bytes(mnist_file(name, classes=12))
    with pytest.raises(ValueError, match="labels from 0 to 11 are not those of 10 classes"):
        MNIST(tmp_path).setup()


@pytest.mark.parametrize("where", ["train/a/again", "train/a/deep/again"])
def test_folders_that_lead_into_themselves_are_refused(where: str, pictures: Path) -> None:
    (pictures / where).parent.mkdir(exist_ok=True)
    (pictures / where).symlink_to(pictures / "train")
    with pytest.raises(ValueError, match="leads to a folder that its class has already"):
        ImageFolder(pictures, num_workers=0).setup()


def test_a_linked_class_is_read(pictures: Path) -> None:
    for part in ("train", "val"):
        (pictures / part / "b").rename(pictures / f"elsewhere-{part}")
        (pictures / part / "b").symlink_to(pictures / f"elsewhere-{part}")
    data = ImageFolder(pictures, num_workers=0, val_fraction=0.5)
    data.setup()
    assert data.classes == ["a", "b"]


def test_a_pipe_and_a_broken_image_are_named(pictures: Path) -> None:
    (pictures / "val/a/0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    os.mkfifo(pictures / "val/a/pipe.png")
    data = ImageFolder(pictures, num_workers=0, val_fraction=0.5)
    data.setup()
    with pytest.raises(ValueError, match=r"0\.png' is no readable image \("):
        data.test_set[0]
    with pytest.raises(ValueError, match=r"pipe\.png' is no file"):
        data.test_set[2]


def test_a_checkpoint_without_a_training_order_is_refused() -> None:
    for state in ({}, {"order": 3}, None):
        with pytest.raises(ValueError, match="the checkpoint holds no training order to go on with"):
            Digits().load_state_dict(state)  # type: ignore[arg-type]
