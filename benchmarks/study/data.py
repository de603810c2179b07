"""Data from files: MNIST's four originals, a JPEG copy of CIFAR-10, and the UCI regression sets with their splits.

The copy is lossy (quality 75): numbers on it compare with each other, not with published ones.
"""

from __future__ import annotations

import functools
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from adaptive_dropout.data.images import LabelledImages

__all__ = ["CIFAR10_FILES", "MNIST_FILES", "read_cifar10", "read_mnist", "read_uci", "standardise"]

MNIST_FILES = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
CIFAR10_FILES = ("cifar10_train_jpeg.npz", "cifar10_test_jpeg.npz")


@functools.lru_cache(maxsize=1)
def read_mnist(folder: Path, train: int = 60_000, test: int = 10_000) -> tuple[LabelledImages, LabelledImages]:
    """Return the first ``train`` and ``test`` digits, each (n, 1, 28, 28): LeCun et al. (1998)."""
    images, labels, test_images, test_labels = (folder / name for name in MNIST_FILES)
    return _digits(images, labels, train), _digits(test_images, test_labels, test)


@functools.lru_cache(maxsize=1)
def read_cifar10(folder: Path, train: int = 50_000, test: int = 10_000) -> tuple[LabelledImages, LabelledImages]:
    """Return ``train`` and ``test`` photographs in a fixed random order, each (n, 3, 32, 32): Krizhevsky (2009)."""
    train_file, test_file = (folder / name for name in CIFAR10_FILES)
    return _decoded(train_file, train), _decoded(test_file, test)


def read_uci(file: Path, number: int) -> tuple[NDArray[Any], ...]:
    """Return inputs, targets, the indices of the authors' training rows, and those of their test rows.

    Raise ValueError if there is no such split, or an array is missing. Source: the splits of Hernandez-Lobato and Adams
    (2015), as Gal and Ghahramani (2016) use them.
    """
    try:
        with np.load(file) as arrays:
            splits = int(arrays["n_splits"])
            if number not in range(splits):
                raise ValueError(f"{file} has the splits 0 to {splits - 1}, but split {number} was asked for")
            x = arrays["data"][:, arrays["index_features"].astype(np.intp)]
            y = arrays["data"][:, int(arrays["index_target"])]
            rest, test = (arrays[f"index_{part}_{number}"].astype(np.intp) for part in ("train", "test"))
    except (KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} has to hold data, indices and splits as arrays, but: {error.args[0]}") from None
    return x, y, rest, test


def standardise(values: NDArray[Any], train: NDArray[Any]) -> tuple[Tensor, NDArray[Any]]:
    """Return ``values``, scaled to mean 0 and variance 1 over the rows ``train``, and their standard deviations."""
    known = values[train].astype(np.float64)
    # Two features of naval-propulsion-plant are constant: there is nothing to scale.
    spread = np.where(np.ptp(known, axis=0) == 0.0, 1.0, known.std(axis=0))
    return torch.from_numpy((values - known.mean(axis=0)) / spread).float(), spread


def _digits(images: Path, labels: Path, most: int) -> LabelledImages:
    pixels = _idx(images, 16)[: most * 784].reshape(-1, 1, 28, 28)
    return LabelledImages(torch.from_numpy(pixels), _idx(labels, 8)[:most].astype(np.int64))


def _idx(file: Path, header: int) -> NDArray[np.uint8]:
    return np.frombuffer(bytearray(gzip.decompress(file.read_bytes())), np.uint8, offset=header)


def _decoded(file: Path, most: int) -> LabelledImages:
    """Decode ``most`` images: all lie end to end, image i from byte offsets[i] to offsets[i + 1], sorted by class."""
    with np.load(file) as arrays:
        jpeg, offsets, labels = arrays["jpeg"], arrays["offsets"], arrays["labels"]
    chosen = np.random.default_rng(0).permutation(len(labels))[:most]
    pictures = (Image.open(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes())) for i in chosen)
    x = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return LabelledImages(torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), labels[chosen].astype(np.int64))
