"""Image sets that torchvision can fetch and read, with an official training set and an official test set.

torchvision is optional, and it is imported when a data set is made.
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from adaptive_dropout.data.base import Examples, TensorDataModule
from adaptive_dropout.data.images import LabelledImages, official_split
from adaptive_dropout.data.splits import check_fraction
from adaptive_dropout.data.training_part import TrainingPart
from adaptive_dropout.tracking.shown import shown

__all__ = ["CIFAR10", "MNIST", "DownloadedImages", "torchvision"]


class DownloadedImages(TensorDataModule):
    """A data set of torchvision's in memory; a subclass names its class there, its files, and reads its images.

    The official test images are the test set; validation is split off the official training images by seed. Every
    channel is standardised by the training images' mean and deviation.

    Args:
        root: the folder that holds ``folder``.
        batch_size: images in a batch.
        n_train: how many training images are used, at least one of each class; None uses all.
        label_noise: the fraction of training labels replaced by another class, in [0, 1].
        val_fraction: the part of the official training images that validates, in (0, 1).
        seed: fixes the split, the subset, the noise and the training order.
        train_transform: applied to each training image, (channels, height, width) in [0, 1], before it is
            standardised; for instance torchvision's ``v2.RandomCrop(32, padding=4)``.
        download: fetch the files that ``root`` lacks before training; compressed files there are unpacked.

    Raises:
        FileNotFoundError: a file is missing and ``download`` is off.
        ImportError: torchvision is not installed.
        TypeError: a value is not a number.
        ValueError: a value is out of its range; at `setup`, ``n_train`` exceeds the training part or a file is corrupt.
    """

    num_classes: ClassVar[int]
    in_channels: ClassVar[int]
    image_size: ClassVar[int]

    source: ClassVar[str]
    """The name of the class in `torchvision.datasets`."""

    folder: ClassVar[str]
    """The folder of the files under ``root``."""

    files: ClassVar[Sequence[str]]
    """All files that have to be there."""

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
        self._read = getattr(torchvision("datasets"), self.source)
        if not download:
            self._check_files()

    @abstractmethod
    def labelled(self, source: Any) -> LabelledImages:
        """Return the images and labels that a torchvision data set holds."""

    def prepare_data(self) -> None:
        """Download, if ``download`` is on."""
        if self.download:
            self._read(self.root, download=True)

    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Read the original files and split validation off."""
        self._check_files()
        train, test = self._read_both()
        images = self.labelled(train), self.labelled(test)
        for each in images:
            self._check(each)
        return official_split(*images, self.val_fraction, self.part, self.train_transform)

    def _check_files(self) -> None:
        folder = self.root / self.folder
        missing = [name for name in self.files if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(
                f"no {self.source} in {str(folder)!r}, {missing[0]!r} is missing: "
                "give the right root, or set download=True"
            )

    def _check(self, images: LabelledImages) -> None:
        x, y, shape = images.x, images.y, (self.in_channels, self.image_size, self.image_size)
        if not 0 < len(x) == len(y) or x.shape[1:] != shape:
            raise self._broken(f"images {tuple(x.shape)} and labels {y.shape} are not those of (n, {shape})")
        if not 0 <= y.min() <= y.max() < self.num_classes:
            raise self._broken(f"labels from {y.min()} to {y.max()} are not those of {self.num_classes} classes")

    def _broken(self, reason: str) -> ValueError:
        where = str(self.root / self.folder)
        return ValueError(
            f"the files in {where!r} are not {self.source} ({shown(reason)}): delete them and set download=True"
        )

    def _read_both(self) -> tuple[Any, Any]:
        try:
            return self._read(self.root, train=True), self._read(self.root, train=False)
        except Exception as error:  # torchvision's own checks raise anything from AssertionError to UnpicklingError
            reason = str(error).split("\n")[0] or type(error).__name__
            raise self._broken(reason) from error


class MNIST(DownloadedImages):
    """Handwritten digits, 28x28 grey pixels; 60 000 to train and validate, 10 000 to test.

    A batch is float32 (batch, 1, 28, 28) and int64 labels (batch,) in 0 ... 9. ``root`` holds ``MNIST/raw`` with the
    four unpacked idx files. The other arguments and the errors are those of `DownloadedImages`.

    Source: LeCun et al. (1998).
    """

    num_classes = 10
    in_channels = 1
    image_size = 28
    num_features = 784

    source = "MNIST"
    folder = "MNIST/raw"
    files = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))

    def labelled(self, source: Any) -> LabelledImages:
        """Return the images with a channel dimension."""
        return LabelledImages(source.data.unsqueeze(1), source.targets.numpy().astype(np.int64))


class CIFAR10(DownloadedImages):
    """Photographs of ten kinds of things, 32x32 colour pixels; 50 000 to train and validate, 10 000 to test.

    A batch is float32 (batch, 3, 32, 32) and int64 labels (batch,) in 0 ... 9. ``root`` holds ``cifar-10-batches-py``.
    The usual ``train_transform`` is ``v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])``. The
    other arguments and the errors are those of `DownloadedImages`.

    Source: Krizhevsky (2009).
    """

    num_classes = 10
    in_channels = 3
    image_size = 32
    num_features = 3072

    source = "CIFAR10"
    folder = "cifar-10-batches-py"
    files = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")

    def labelled(self, source: Any) -> LabelledImages:
        """Return the images with channels first."""
        x = torch.from_numpy(source.data).permute(0, 3, 1, 2).contiguous()
        return LabelledImages(x, np.asarray(source.targets, dtype=np.int64))


def torchvision(module: str) -> Any:
    """Return the torchvision module of that name, such as ``"datasets"``.

    Raises:
        ImportError: torchvision is not installed.
    """
    try:
        return importlib.import_module(f"torchvision.{module}")
    except ImportError as error:
        raise ImportError(f'this data needs torchvision ({error}): pip install "adaptive-dropout[vision]"') from None
