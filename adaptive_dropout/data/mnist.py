"""MNIST: 70 000 handwritten digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from adaptive_dropout.data.base import Examples, TensorDataModule
from adaptive_dropout.data.images import LabelledImages, official_split
from adaptive_dropout.data.splits import check_fraction
from adaptive_dropout.data.training_part import TrainingPart
from adaptive_dropout.data.vision import find_files, read_files, torchvision

__all__ = ["MNIST"]

_FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


class MNIST(TensorDataModule):
    """Handwritten digits, 28x28 grey pixels, standardised by the training images' mean and deviation.

    A batch is float32 (batch, 1, 28, 28) and int64 labels (batch,) in 0 ... 9. The official 10 000 test images are the
    test set; validation is split off the 60 000 training images by seed.

    Args:
        root: the folder that holds ``MNIST/raw`` with the four unpacked idx files.
        batch_size: images in a batch.
        n_train: how many training images are used, at least 10; None uses all.
        label_noise: the fraction of training labels replaced by another class, in [0, 1].
        val_fraction: the part of the official training images that validates, in (0, 1).
        seed: fixes the split, the subset, the noise and the training order.
        download: fetch what ``root`` lacks, before training; compressed files lying there are unpacked.

    Raises:
        FileNotFoundError: a file is missing and ``download`` was not asked for.
        ImportError: torchvision is not installed.
        TypeError: a value is no number.
        ValueError: a value is out of its range; at `setup`, ``n_train`` exceeds the training part or a file is corrupt.

    Source: LeCun et al. (1998).
    """

    num_classes = 10
    in_channels = 1
    image_size = 28
    num_features = 784

    def __init__(
        self,
        root: str | Path,
        batch_size: int = 64,
        n_train: int | None = None,
        label_noise: float = 0.0,
        val_fraction: float = 0.1,
        seed: int = 0,
        download: bool = False,
    ) -> None:
        super().__init__(batch_size, seed)
        self.root = Path(root).expanduser()
        self.part = TrainingPart(n_train, label_noise, seed)
        self.val_fraction = check_fraction(val_fraction, "val_fraction")
        self.download = download
        self._source = torchvision("datasets").MNIST
        if not download:
            self._find()

    def prepare_data(self) -> None:
        """Download if that was asked for."""
        if self.download:
            self._source(self.root, download=True)

    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Read the four files and split validation off."""
        self._find()
        train, test = read_files(self._read, self._folder, "MNIST")
        return official_split(_labelled(train), _labelled(test), self.val_fraction, self.part)

    @property
    def _folder(self) -> Path:
        return self.root / "MNIST" / "raw"

    def _find(self) -> None:
        find_files(self._folder, _FILES, "MNIST")

    def _read(self) -> tuple[Any, Any]:
        return self._source(self.root, train=True), self._source(self.root, train=False)


def _labelled(source: Any) -> LabelledImages:
    return LabelledImages(source.data.unsqueeze(1), source.targets.numpy().astype(np.int64))
