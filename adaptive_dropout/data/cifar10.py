"""CIFAR-10: 60 000 small colour photographs of ten kinds of things."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adaptive_dropout.data.base import Examples, TensorDataModule
from adaptive_dropout.data.images import LabelledImages, official_split
from adaptive_dropout.data.splits import check_fraction
from adaptive_dropout.data.training_part import TrainingPart
from adaptive_dropout.data.vision import find_files, read_files, torchvision

__all__ = ["CIFAR10"]

_FILES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]


class CIFAR10(TensorDataModule):
    """Photographs, 32x32 colour pixels, each channel standardised by the training images' mean and deviation.

    A batch is float32 (batch, 3, 32, 32) and int64 labels (batch,) in 0 ... 9. The official 10 000 test images are the
    test set; validation is split off the 50 000 training images by seed.

    Args:
        root: the folder that holds ``cifar-10-batches-py``.
        batch_size: images in a batch.
        n_train: how many training images are used, at least 10; None uses all.
        label_noise: the fraction of training labels replaced by another class, in [0, 1].
        val_fraction: the part of the official training images that validates, in (0, 1).
        seed: fixes the split, the subset, the noise and the training order.
        train_transform: what each training image, (3, 32, 32) in [0, 1], goes through before it is standardised,
            for instance torchvision's ``v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])``.
        download: fetch the data into ``root`` if it is not there, before training.

    Raises:
        FileNotFoundError: a file is missing and ``download`` was not asked for.
        ImportError: torchvision is not installed.
        TypeError: a value is no number.
        ValueError: a value is out of its range; at `setup`, ``n_train`` exceeds the training part or a file is corrupt.

    Source: Krizhevsky (2009).
    """

    num_classes = 10
    in_channels = 3
    image_size = 32
    num_features = 3072

    def __init__(
        self,
        root: str | Path,
        batch_size: int = 64,
        n_train: int | None = None,
        label_noise: float = 0.0,
        val_fraction: float = 0.1,
        seed: int = 0,
        train_transform: Callable[[Tensor], Tensor] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(batch_size, seed)
        self.root = Path(root).expanduser()
        self.part = TrainingPart(n_train, label_noise, seed)
        self.val_fraction = check_fraction(val_fraction, "val_fraction")
        self.train_transform = train_transform
        self.download = download
        self._source = torchvision("datasets").CIFAR10
        if not download:
            self._find()

    def prepare_data(self) -> None:
        """Download if that was asked for."""
        if self.download:
            self._source(self.root, download=True)

    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Read the six batches of the original files and split validation off."""
        self._find()
        train, test = read_files(self._read, self._folder, "CIFAR-10")
        return official_split(_labelled(train), _labelled(test), self.val_fraction, self.part, self.train_transform)

    @property
    def _folder(self) -> Path:
        return self.root / "cifar-10-batches-py"

    def _find(self) -> None:
        find_files(self._folder, _FILES, "CIFAR-10")

    def _read(self) -> tuple[Any, Any]:
        return self._source(self.root, train=True), self._source(self.root, train=False)


def _labelled(source: Any) -> LabelledImages:
    x = torch.from_numpy(source.data).permute(0, 3, 1, 2).contiguous()
    return LabelledImages(x, np.asarray(source.targets, dtype=np.int64))
