"""Image sets that torchvision can fetch and read, with an official training set and an official test set."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from adaptive_dropout.data.base import Examples, TensorDataModule
from adaptive_dropout.data.images import LabelledImages, official_split
from adaptive_dropout.data.splits import check_fraction
from adaptive_dropout.data.training_part import TrainingPart
from adaptive_dropout.data.vision import find_files, read_files, torchvision

__all__ = ["DownloadedImages"]


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
        train_transform: what each training image, (channels, height, width) in [0, 1], goes through before it is
            standardised, for instance torchvision's ``v2.RandomCrop(32, padding=4)``.
        download: fetch what ``root`` lacks, before training; compressed files lying there are unpacked.

    Raises:
        FileNotFoundError: a file is missing and ``download`` was not asked for.
        ImportError: torchvision is not installed.
        TypeError: a value is no number.
        ValueError: a value is out of its range; at `setup`, ``n_train`` exceeds the training part or a file is corrupt.
    """

    source: ClassVar[str]
    """The name of the class in `torchvision.datasets`."""

    folder: ClassVar[str]
    """Where under ``root`` the files lie."""

    files: ClassVar[Sequence[str]]
    """All that have to be there."""

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
            find_files(self.root / self.folder, self.files, self.source)

    @abstractmethod
    def labelled(self, source: Any) -> LabelledImages:
        """Return the images and labels that a torchvision data set holds."""

    def prepare_data(self) -> None:
        """Download if that was asked for."""
        if self.download:
            self._read(self.root, download=True)

    def examples(self) -> tuple[Examples, Examples, Examples]:
        """Read the original files and split validation off."""
        folder = self.root / self.folder
        find_files(folder, self.files, self.source)
        both = (True, False)
        train, test = read_files(lambda: [self._read(self.root, train=part) for part in both], folder, self.source)
        images = self.labelled(train), self.labelled(test)
        return official_split(*images, self.val_fraction, self.part, self.train_transform)
