"""Boosted trees with dropout (DART): which customers leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.beyond.boosting import Array, Forest, lightgbm, regrown
from benchmarks.beyond.learner import Learner, Progress
from benchmarks.beyond.task import Task, there

__all__ = ["TreeLearner", "Trees"]

_CLEAN = 300  # training examples that are measured with all trees at each validation
Part = tuple[Array, Array]


class TreeLearner(Learner):
    """Steers the part of the trees that a round drops.

    DART changes the weights of old trees, so to go back is to grow the forest again, round by round, as it was grown.

    Args:
        parts: training, validation and test examples and their classes, 0 or 1; the training examples in random order.
        p: the rate of the first rounds.
        every: rounds from one validation to the next.
        leaves: of a tree, at most.
        lr: what a new tree is multiplied by.
    """

    def __init__(self, parts: tuple[Part, Part, Part], p: float, every: int, leaves: int, lr: float) -> None:
        self._train, self._val, self._test = parts
        positive = float(self._train[1].mean())
        self.trivial_loss = float(-positive * np.log(positive) - (1 - positive) * np.log(1 - positive))
        self.every = every
        self._p, self._seed = p, 0
        self._leaves, self._lr = leaves, lr
        self._forest = self._new()
        self._rounds: list[tuple[float, int]] = []
        self._best: list[tuple[float, int]] = []

    def rates(self) -> dict[str, float]:
        """Return the one rate, ``"trees"``."""
        return {"trees": self._p}

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Grow on with it."""
        self._p = rates["trees"]

    def advance(self) -> Progress:
        """Grow `every` trees, and measure the first 300 training examples and validation."""
        noisy = [self._grow() for _ in range(self.every)]
        clean = [part[:_CLEAN] for part in self._train]
        return Progress(
            sum(noisy) / len(noisy),
            self._forest.losses(*clean).tolist(),
            self._forest.losses(*self._val).tolist(),
        )

    def take(self) -> None:
        """Remember the rounds so far."""
        self._best = list(self._rounds)

    def restore(self) -> None:
        """Grow the forest of those rounds again."""
        self._go_back(self._best)

    def restart(self) -> None:
        """Begin an empty forest."""
        self._go_back([])

    def test_loss(self) -> float:
        """Return the mean cross-entropy on the test examples, by all trees."""
        return float(self._forest.losses(*self._test).mean())

    def _new(self) -> Forest:
        return Forest(*self._train, self._leaves, self._lr)

    def _grow(self) -> float:
        self._seed += 1
        self._rounds.append((self._p, self._seed))
        return self._forest.grow(self._p, self._seed)

    def _go_back(self, rounds: list[tuple[float, int]]) -> None:
        if rounds != self._rounds:
            self._forest = regrown(self._new, rounds)
            self._rounds = list(rounds)


@dataclass(frozen=True)
class Trees(Task):
    """A table of numbers with two classes; 1000 rows validate and the rest tests, up to 5000.

    Args:
        table: a file of the tables, without its ending.
        train: how many rows are trained on.
        every: rounds from one validation to the next.
        leaves: of a tree, at most.
        lr: what a new tree is multiplied by.
    """

    table: str = "churn"
    train: int = 1000
    every: int = 4
    leaves: int = 15
    lr: float = 0.3

    def files(self, folder: Path) -> list[Path]:
        """Return the table; raise an ImportError where LightGBM is missing."""
        lightgbm()
        return there(folder / "tabular" / f"{self.table}.tsv.gz")

    def learner(self, folder: Path, seed: int, p: float) -> TreeLearner:
        """Return an empty forest."""
        cells = np.loadtxt(self.files(folder)[0], delimiter="\t", skiprows=1)
        train, val, test = np.split(np.random.default_rng(seed).permutation(cells), [self.train, self.train + 1000])
        parts = [(part[:5000, :-1], part[:5000, -1]) for part in (train, val, test)]
        return TreeLearner((parts[0], parts[1], parts[2]), p, self.every, self.leaves, self.lr)
