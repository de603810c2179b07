"""A task of the study: it makes the data module and the LightningModule of one run."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from adaptive_dropout.data import Text
from adaptive_dropout.networks import GPT, DropoutFactory
from adaptive_dropout.tasks import Classifier, LanguageModel, Regressor, Task
from benchmarks.study.windows import Split, Windows

__all__ = ["VALIDATIONS", "ArrayTask", "Fitting", "StudyTask", "TextTask"]

VALIDATIONS = 50
"""How often a run validates; an epoch is the steps from one validation to the next."""

ADAM = functools.partial(torch.optim.Adam, lr=1e-3, fused=True)


@dataclass(frozen=True)
class Fitting:
    """How a network is trained.

    Args:
        steps: optimizer steps, a multiple of `VALIDATIONS`.
        batch_size: examples in a batch.
        optimizer: makes the optimizer from parameter groups.
        lr_scheduler: makes the learning rate's scheduler, stepped at each validation; None keeps the learning rate.
    """

    steps: int = 2000
    batch_size: int = 64
    optimizer: OptimizerCallable = ADAM
    lr_scheduler: LRSchedulerCallable | None = None

    @property
    def every(self) -> int:
        """Steps from one validation to the next."""
        return self.steps // VALIDATIONS


@dataclass(frozen=True)
class StudyTask(ABC):
    """One setting of the study.

    Args:
        fitting: how the network is trained.
        file: where under the data folder the data lies; None for data that ships inside a dependency.
        held_out: kept out of all tuning.
        tolerance: differences of test losses below it, in nats, are noise of a repeat.
    """

    fitting: Fitting
    _: KW_ONLY
    file: str | None = None
    held_out: bool = False
    tolerance: float = 0.02

    @abstractmethod
    def data(self, folder: Path | None, seed: int) -> L.LightningDataModule:
        """Return the data module of one run, whose epochs have ``fitting.every`` batches.

        Args:
            folder: the data folder; a task without a file does not need it.
            seed: of the split and the order.
        """

    @abstractmethod
    def model(self, data: Any, dropout: DropoutFactory) -> Task:
        """Return the LightningModule for ``data``, which has been set up, with initial weights from torch's seed."""


@dataclass(frozen=True)
class ArrayTask(StudyTask):
    """Classes to tell apart, or a number to predict, from examples in memory.

    Args:
        split: returns training, validation and test set; called with the path of ``file``, if any, and the seed.
        network: makes the network from the number of inputs, the number of outputs and a dropout factory.
        classes: how many there are; None for a number to predict.
    """

    split: Callable[..., Split]
    network: Callable[[int, int, DropoutFactory], torch.nn.Module]
    classes: int | None = None

    def data(self, folder: Path | None, seed: int) -> Windows:
        """Return the three sets in windows between validations."""
        place = () if self.file is None or folder is None else (folder / self.file,)
        return Windows(functools.partial(self.split, *place, seed), self.fitting.batch_size, self.fitting.every, seed)

    def model(self, data: Windows, dropout: DropoutFactory) -> Task:
        """Return a classifier or a regressor of the width of ``data``."""
        features = data.train_set[0][0].numel()
        how = (self.fitting.optimizer, self.fitting.lr_scheduler)
        if self.classes is None:
            return Regressor(self.network(features, 2, dropout), *how)
        return Classifier(self.network(features, self.classes, dropout), self.classes, *how)


@dataclass(frozen=True)
class TextTask(StudyTask):
    """The next character, by a transformer of 2 layers, 4 heads and 64 channels with a context of 64.

    Args:
        characters: how many are trained on; 20 000 more validate and 20 000 test. Each seed has a piece of its own.
    """

    characters: int

    def data(self, folder: Path | None, seed: int) -> Text:
        """Return the piece of the text that begins where the one of the seed before ends, counted round."""
        assert self.file is not None, "a text is a file"
        assert folder is not None, "a text needs the data folder"
        n = self.characters + 40_000
        start = seed * n % (1_000_000 - n)
        fitting = self.fitting
        return Text(folder / self.file, 64, fitting.batch_size, n, 40_000 / n, fitting.every, seed, start)

    def model(self, data: Text, dropout: DropoutFactory) -> Task:
        """Return a language model over the characters of ``data``."""
        network = GPT(data.vocabulary, data.context, layers=2, heads=4, channels=64, dropout=dropout)
        return LanguageModel(network, self.fitting.optimizer, self.fitting.lr_scheduler)
