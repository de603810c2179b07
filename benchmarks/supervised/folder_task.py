"""`FolderTask`: photographs in ImageNet's layout, read when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from adaptive_dropout.data import ImageFolder
from adaptive_dropout.networks import DropoutFactory
from benchmarks.supervised.task import SupervisedTask

__all__ = ["FolderTask"]


@dataclass(frozen=True, kw_only=True)
class FolderTask(SupervisedTask):
    """Photographs in ImageNet's layout: `ImageFolder`, whose ``val`` tests where there is no ``test``.

    Args:
        build: makes the network from the number of classes, the image size and a dropout factory.
        root: the folder in the data folder; unpack the archive if there is one.
        image_size: height and width in pixels, a multiple of 8.
        workers: processes that read images for each run.
    """

    build: Callable[[int, int, DropoutFactory], nn.Module]
    root: str = "tiny_imagenet_20"
    image_size: int = 64
    workers: int = 0

    def files(self, folder: Path) -> list[Path]:
        """Return every image; raise what `ImageFolder` raises."""
        ImageFolder(folder / self.root, self.image_size)
        return sorted(file for file in (folder / self.root).rglob("*") if file.is_file())

    def data(self, folder: Path, seed: int) -> ImageFolder:
        """Return the folders."""
        size, batch = self.image_size, self.batch_size
        return ImageFolder(folder / self.root, size, batch, seed=seed, num_workers=self.workers)

    def network(self, data: Any, dropout: DropoutFactory) -> nn.Module:
        """Return a network for as many classes as there are folders."""
        return self.build(data.num_classes, self.image_size, dropout)
