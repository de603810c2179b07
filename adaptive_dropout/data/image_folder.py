"""Photographs in folders, one folder a class: ImageNet's layout. Images are read when they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.fabric.utilities import suggested_max_num_workers
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from adaptive_dropout.checks import check_count
from adaptive_dropout.data.loaders import SeededLoaders
from adaptive_dropout.data.splits import check_fraction, split_off
from adaptive_dropout.data.torchvision_sets import torchvision
from adaptive_dropout.tracking.shown import shown

__all__ = ["ImageFolder"]

# The channel means and deviations of ImageNet's training photographs, as published with torchvision's models.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)

# What the suffixes that torchvision lists stand for. Left to itself Pillow goes by the content, and a .jpg that holds
# PostScript would be given to Ghostscript to run.
_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")


class ImageFolder(L.LightningDataModule):
    """Images under ``train/<class>/`` and ``val/<class>/``, and under ``test/<class>/`` if there is such a folder.

    Without a ``test`` folder, as in ImageNet where the test labels are secret, ``val`` is the test set and validation
    is split off ``train`` by seed, so that no rate is steered by the images that are reported on. A batch is float32
    (batch, 3, image_size, image_size), standardised by ImageNet's channel statistics, and int64 labels (batch,), with
    the classes in the alphabetical order of their folders. Grey images become RGB.

    Args:
        root: the folder that holds ``train`` and ``val``.
        image_size: the shorter side is scaled to this many pixels, then the middle square is cut out.
        batch_size: images in a batch.
        val_fraction: the part of ``train`` that validates where there is no ``test``, in (0, 1).
        seed: fixes the split and the training order.
        train_transform: applied to each training image, (3, image_size, image_size) in [0, 1], before it is
            standardised.
        num_workers: processes that read images; None takes all cores but one, at most 8.

    Raises:
        FileNotFoundError: ``root``, ``train`` or ``val`` is missing or has no class folders.
        ImportError: torchvision is not installed.
        ValueError: the folders differ in their classes, links in them lead in circles, or a value is out of its range;
            when it is read, a file is no image.
    """

    in_channels = 3
    train_set: Dataset[Any]
    val_set: Dataset[Any]
    test_set: Dataset[Any]

    def __init__(
        self,
        root: str | Path,
        image_size: int = 64,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        seed: int = 0,
        train_transform: Callable[[Tensor], Tensor] | None = None,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        torchvision("datasets")
        self.root = Path(root).expanduser()
        self.image_size = check_count(image_size, "image_size")
        self.num_features = 3 * image_size**2
        self.val_fraction = check_fraction(val_fraction, "val_fraction")
        self.seed = seed
        self.train_transform = train_transform
        self.classes = _same_classes(self.root)
        self.num_classes = len(self.classes)
        workers = min(suggested_max_num_workers(1), 8) if num_workers is None else num_workers
        self._loaders = SeededLoaders(batch_size, seed, num_workers=workers, persistent_workers=workers > 0)

    def setup(self, stage: str | None = None) -> None:
        """List the files; no image is read yet."""
        train, val = self._folder("train", self.train_transform), self._folder("val")
        if (self.root / "test").is_dir():
            self.train_set, self.val_set, self.test_set = train, val, self._folder("test")
            return
        stay, out = split_off(np.asarray(train.targets), self.val_fraction, self.seed)
        self.train_set = Subset(train, stay.tolist())
        self.val_set = Subset(self._folder("train"), out.tolist())
        self.test_set = val

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches, in a new order each epoch."""
        return self._loaders.shuffled(self.train_set)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation batches, always in the same order."""
        return self._loaders.in_order(self.val_set)

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the test batches, always in the same order."""
        return self._loaders.in_order(self.test_set)

    def predict_dataloader(self) -> DataLoader[Any]:
        """Return the test batches, to predict from their images."""
        return self.test_dataloader()

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the sequence of training orders."""
        return self._loaders.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the sequence of training orders; in mid-epoch the loader's own state does."""
        self._loaders.load_state_dict(state_dict)

    def _folder(self, name: str, transform: Callable[[Tensor], Tensor] | None = None) -> Any:
        v2 = torchvision("transforms.v2")
        square = [v2.ToImage(), v2.Resize(self.image_size, antialias=True), v2.CenterCrop(self.image_size)]
        scaled = [*square, v2.ToDtype(torch.float32, scale=True)]
        augmented = scaled if transform is None else [*scaled, transform]
        steps = v2.Compose([*augmented, v2.Normalize(_MEAN, _STD)])
        _check_links(self.root / name)
        return torchvision("datasets").ImageFolder(self.root / name, transform=steps, loader=_open)


def _open(path: str) -> Any:
    from PIL import Image

    if not Path(path).is_file():  # opening a pipe would wait for ever
        raise ValueError(f"{path!r} is no file; an image is needed, or nothing")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return image.convert("RGB")
    except Exception as error:  # Pillow's readers raise anything from OSError to SyntaxError
        reason = shown(str(error).split("\n")[0] or type(error).__name__)
        raise ValueError(f"{path!r} is no readable image ({reason}); delete it, or put a whole one there") from None


def _check_links(folder: Path) -> None:
    """Raise where the folders of a class lead into one of them again: torchvision follows links, there for ever."""
    for entry in folder.iterdir():
        if entry.is_symlink() and not os.path.exists(entry):
            raise ValueError(f"{str(entry)!r} is a link to nothing; delete it")
        seen: set[str] = set()
        waiting = [str(entry)] if entry.is_dir() else []
        while waiting:
            place = waiting.pop()
            real = os.path.realpath(place)
            if real in seen:
                raise ValueError(f"{place!r} leads to a folder that its class has already; delete the link")
            seen.add(real)
            with os.scandir(place) as parts:
                waiting += [part.path for part in parts if os.path.isdir(part.path)]


def _same_classes(root: Path) -> list[str]:
    """Return the names of the class folders, the same in every part, or raise."""
    classes = _classes(root / "train")
    parts = ["val", "test"] if (root / "test").is_dir() else ["val"]
    for part in parts:
        odd = sorted(set(classes).symmetric_difference(_classes(root / part)))
        if odd:  # torchvision numbers the folders of each part alone: one more would silently shift the labels
            raise ValueError(
                f"{str(root)!r}: 'train' and {part!r} need the same class folders, but {odd[0]!r} is in one only"
            )
    return classes


def _classes(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    if not names:
        raise FileNotFoundError(
            f"no class folders in {str(folder)!r}: root has to hold train/<class>/ and val/<class>/ with images"
        )
    return names
