"""Data of someone else: tables, arrays, texts, MNIST's files, photographs in folders."""

from __future__ import annotations

import io
import random
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from adaptive_dropout.data import MNIST, Arrays, ImageFolder, TensorDataModule, Text
from benchmarks.reliability.hostile.feeding import Case
from benchmarks.reliability.hostile.folders import write_loops
from benchmarks.reliability.hostile.spoiling import spoil

__all__ = ["CASES", "bomb"]

N = 24
BOMB = 2**34  # bytes


def write_table(rng: random.Random, folder: Path) -> None:
    """Write a spoilt CSV or TSV file."""
    suffix, between = rng.choice([("csv", ","), ("tsv", "\t")])
    rows = [[str(rng.gauss(0, 1)), str(rng.gauss(0, 1)), str(n % 3)] for n in range(N)]
    text = "\n".join(between.join(row) for row in [["a", "b", "target"], *rows])
    (folder / f"x.{suffix}").write_bytes(spoil(rng, text.encode()))


def write_arrays(rng: random.Random, folder: Path) -> None:
    """Write a spoilt npz file, or a bomb."""
    if rng.random() < 0.02:
        bomb(rng, folder / "x.npz")
        return
    kind = rng.choice([np.float32, np.float64, np.int64, np.int8, bool, np.float16])
    x = np.array([[rng.gauss(0, 10) for _ in range(3)] for _ in range(N)]).astype(kind)
    y = rng.choice([np.arange(N) % 3, np.linspace(0, 1, N), np.linspace(0, 1, 2 * N).reshape(N, 2)])
    written = io.BytesIO()
    rng.choice([np.savez, np.savez_compressed])(written, x=x, y=y)
    (folder / "x.npz").write_bytes(spoil(rng, written.getvalue()))


def bomb(rng: random.Random, file: Path) -> None:
    """Write an npz file that is, or says that it is, gigabytes large."""
    large = rng.random() < 0.05  # it takes a second to write
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x", "y"):
            header = io.BytesIO()
            shape = (BOMB // 8, 1) if name == "x" else (BOMB // 8,)
            np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                entry.write(header.getvalue())
                for _ in range(96 if large and name == "x" else 0):
                    entry.write(bytes(2**24))


def write_text(rng: random.Random, folder: Path) -> None:
    """Write a spoilt text."""
    text = "".join(rng.choice("abc äöü\n\u202e") for _ in range(2000))
    (folder / "x.txt").write_bytes(spoil(rng, text.encode()))


def write_mnist(rng: random.Random, folder: Path) -> None:
    """Write MNIST's four files, one of them spoilt."""
    raw = folder / MNIST.folder
    raw.mkdir(parents=True)
    spoilt = rng.choice(MNIST.files)
    for name in MNIST.files:
        data = mnist_file(name)
        (raw / name).write_bytes(spoil(rng, data) if name == spoilt else data)


def mnist_file(name: str, classes: int = 10) -> bytes:
    """Return one of MNIST's files with a few black images."""
    n = 40 if name.startswith("train") else 20
    shape = (n, 28, 28) if "images" in name else (n,)
    head = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    return head + (bytes(n * 784) if "images" in name else bytes(label % classes for label in range(n)))


@cache
def picture(format: str) -> bytes:
    """Return a small picture as a file."""
    written = io.BytesIO()
    Image.effect_noise((20, 16), 50).convert("RGB").save(written, format)
    return written.getvalue()


def write_pictures(rng: random.Random, folder: Path) -> None:
    """Write a folder of pictures, one of them spoilt."""
    for part in ("train", "val"):
        for kind in ("a", "b"):
            (folder / part / kind).mkdir(parents=True)
            for number in range(2):
                (folder / part / kind / f"{number}.png").write_bytes(picture("PNG"))
    format = rng.choice(["PNG", "JPEG", "PPM", "BMP", "TIFF", "WEBP"])
    data = huge_picture(rng) if rng.random() < 0.02 else spoil(rng, picture(format))
    (folder / "val/a/0.png").write_bytes(data)


def huge_picture(rng: random.Random) -> bytes:
    """Return a file that says it is a picture of more than a billion pixels."""
    size = rng.choice([40_000, 65_535, 1_000_000])
    return b"P6 %d %d 255\n" % (size, size) + bytes(1000)


def read_module(data: TensorDataModule) -> None:
    """Read the first batch of each part."""
    data.setup()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        x, y = next(iter(loader))
        assert len(x), "an empty batch"
        assert bool(torch.isfinite(x.float()).all() and torch.isfinite(y.float()).all()), "a batch that is not finite"


def read_table(file: Path) -> None:
    """Read a table; one of a few examples is read and not split."""
    data = Arrays(file)
    if len(data._table.y) >= 10:
        read_module(data)


def read_mnist(folder: Path) -> None:
    """Read MNIST, and check that its labels are those of ten classes."""
    data = MNIST(folder)
    read_module(data)
    labels = torch.cat([part.y for part in (data.train_set, data.val_set, data.test_set)])
    assert 0 <= int(labels.min()) <= int(labels.max()) < 10, "labels of no class"
    assert data.train_set.x.shape[1:] == (1, 28, 28), "images of another size"


def read_pictures(folder: Path) -> None:
    """Read each picture once."""
    data = ImageFolder(folder, image_size=8, num_workers=0, val_fraction=0.5)
    data.setup()
    for part in (data.train_set, data.val_set, data.test_set):
        for place in range(len(part)):  # type: ignore[arg-type]
            part[place]


ERRORS = (ValueError, FileNotFoundError)
CASES = [
    *[Case("csv", write_table, lambda folder: read_table(next(folder.iterdir())), ERRORS)] * 30,
    *[Case("npz", write_arrays, lambda folder: read_table(folder / "x.npz"), ERRORS)] * 30,
    *[Case("text", write_text, lambda folder: read_module(Text(folder / "x.txt", context=8)), ERRORS)] * 20,
    *[Case("MNIST", write_mnist, read_mnist, ERRORS)] * 8,
    *[Case("image", write_pictures, read_pictures, ERRORS)] * 10,
    *[Case("folders", write_loops, read_pictures, ERRORS)] * 2,
]
