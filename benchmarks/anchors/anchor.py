"""`Anchor`: a published training run, to be repeated with other rates of dropout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as L

from adaptive_dropout.checks import check_count

__all__ = ["Anchor"]


@dataclass(frozen=True)
class Anchor(ABC):
    """Data, network and training.

    Args:
        every: optimizer steps between two validations.
        validations: how many there are; the run ends with the last.
    """

    every: int
    validations: int

    p: ClassVar[float]
    """The published rate, of every dropout layer."""

    clip: ClassVar[float | None] = None
    """The largest norm of the gradient; None leaves it as it is."""

    precision: ClassVar[str] = "32-true"
    """Of the training, in Lightning's words."""

    def __post_init__(self) -> None:
        for name in ("every", "validations"):
            check_count(getattr(self, name), name)

    @abstractmethod
    def files(self, folder: Path) -> list[Path]:
        """Return the files in the data folder that a run reads; raise FileNotFoundError if one is missing."""

    @abstractmethod
    def data(self, folder: Path, seed: int) -> L.LightningDataModule:
        """Return the data of one run; ``seed`` chooses the order, and the split where several were published."""

    @abstractmethod
    def model(self, data: Any, p: float) -> L.LightningModule:
        """Return a model for ``data``, which has been set up, with ``torch.nn`` dropout of ``p``."""

    @abstractmethod
    def score(self, tested: Mapping[str, float], data: Any) -> float:
        """Return the published measure, from what a test on ``data`` logged."""

    def callbacks(self) -> Sequence[L.Callback]:
        """Return what belongs to the published training besides dropout."""
        return ()


def require(folder: Path, *names: str) -> list[Path]:
    """Return the files ``names`` in ``folder``; raise FileNotFoundError if one is missing."""
    for name in names:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"no file {str(folder / name)!r}; --data-dir has to hold {name}")
    return [folder / name for name in names]
