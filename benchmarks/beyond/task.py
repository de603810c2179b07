"""A task, which makes the learner of one run, and helpers for its data."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.beyond.gradient import Examples
from benchmarks.beyond.steering import Learner

__all__ = ["Task", "check_file", "entropy", "split_rows"]


class Task(ABC):
    """One setting of the study. A subclass is a frozen dataclass of its settings, which decide the result."""

    def files(self, folder: Path) -> list[Path]:
        """Return the files that are read from the data folder, by default none.

        Raises:
            FileNotFoundError: it is not there.
        """
        return []

    @abstractmethod
    def learner(self, folder: Path, seed: int, p: float) -> Learner:
        """Return a new learner.

        Args:
            folder: the data folder.
            seed: of the split and the order of the examples; initial weights and noise come from torch's seed.
            p: where the rate starts, in [0, 1].
        """


def check_file(file: Path) -> list[Path]:
    """Return ``file`` in a list, or raise a FileNotFoundError that names it."""
    if not file.is_file():
        raise FileNotFoundError(f"no file {str(file)!r}; --data-dir has to be the folder that holds it")
    return [file]


def split_rows(examples: Examples, seed: int, *sizes: int) -> list[Examples]:
    """Return parts of ``examples``, drawn without replacement; the last part takes the rest.

    Raises:
        ValueError: nothing is left for it.
    """
    n = len(examples[0])
    if sum(sizes) >= n:
        raise ValueError(f"{' + '.join(map(str, sizes))} examples leave none of {n} to test on")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    ends = [0, *itertools.accumulate(sizes), n]
    return [tuple(column[order[a:b]] for column in examples) for a, b in itertools.pairwise(ends)]


def entropy(classes: Tensor) -> float:
    """Return the cross-entropy of the best constant prediction of ``classes``, integers (n,), in nats."""
    frequencies = classes.bincount().double() / len(classes)
    return float(-torch.xlogy(frequencies, frequencies).sum())
