"""Boosted trees with dropout (DART), which predict the customers who leave.

LightGBM has to be told more than its manual says, so that a rate that changes from round to round takes effect.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.beyond.steering import Learner, Progress
from benchmarks.beyond.task import Task, check_file

__all__ = ["Array", "Forest", "TreeLearner", "Trees", "regrow"]

_CLEAN = 300  # training examples that are measured with all trees at each validation
Array = NDArray[np.float64]
Part = tuple[Array, Array]


def lightgbm() -> Any:
    """Return LightGBM.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module("lightgbm")
    except ImportError:
        raise ImportError('boosted trees need LightGBM: pip install "adaptive-dropout[boosting]"') from None


class Forest:
    """Boosted trees for two classes, grown round by round, each round with a rate of its own.

    In a round a part of the trees is dropped; the new tree is fitted to what the others leave, and takes its share of
    the weight of the dropped ones.

    Args:
        x: (n, features).
        y: 0 or 1, (n,).
        leaves: of a tree, at most.
        lr: the factor of a new tree.

    Source: Vinayak and Gilad-Bachrach (2015), "DART: dropouts meet multiple additive regression trees".
    """

    def __init__(self, x: Array, y: Array, leaves: int, lr: float) -> None:
        library = lightgbm()
        self._y = y
        self._noisy_loss = 0.0
        # Uniform: the other way of choosing divides by a sum that LightGBM forgets when a parameter is reset, and then
        # drops every tree at any rate (4.7: log loss .677 at .1, .5 and .9 alike, where .566, .663 and .675 is right).
        # max_drop has to be negative: 0, which is documented as no limit, drops one tree at the most.
        settings = {
            "boosting": "dart", "objective": "none", "uniform_drop": True, "max_drop": -1, "skip_drop": 0.0,
            "num_leaves": leaves, "learning_rate": lr, "num_threads": 1, "deterministic": True, "force_row_wise": True,
            "seed": 0, "verbose": -1,
        }  # fmt: skip
        self._booster = library.Booster(settings, library.Dataset(x, y))

    def grow(self, p: float, seed: int) -> float:
        """Add a tree while each other one is dropped with probability ``p``; return the loss without the dropped ones.

        Args:
            p: in [0, 1].
            seed: of which are dropped. A reset begins the random numbers anew, so each round needs another.
        """
        self._booster.reset_parameter({"drop_rate": p, "drop_seed": seed})
        self._booster.update(fobj=self._derivatives)
        return self._noisy_loss

    def losses(self, x: Array, y: Array) -> Array:
        """Return the cross-entropy of each example, (n,), by all trees."""
        return log_losses(self._booster.predict(x, raw_score=True), y)

    def _derivatives(self, scores: Array, data: Any) -> tuple[Array, Array]:
        # LightGBM asks for derivatives at the scores without the dropped trees: the training loss with dropout on.
        self._noisy_loss = float(log_losses(scores, self._y).mean())
        probability = 1 / (1 + np.exp(-scores))
        return probability - self._y, probability * (1 - probability)


def log_losses(scores: Array, y: Array) -> Array:
    """Return the cross-entropy of each example from its log-odds, (n,)."""
    losses: Array = np.logaddexp(0, scores) - y * scores
    return losses


def regrow(new: Callable[[], Forest], rounds: Sequence[tuple[float, int]]) -> Forest:
    """Return a new forest after these rounds of (p, seed): bit for bit the one that was grown so before."""
    forest = new()
    for p, seed in rounds:
        forest.grow(p, seed)
    return forest


class TreeLearner(Learner):
    """Steers the part of the trees that a round drops.

    DART changes the weights of old trees, so to go back is to grow the forest again, round by round, as it was grown.

    Args:
        parts: training, validation and test examples and their classes, 0 or 1; the training examples in random order.
        p: the rate of the first rounds.
        every: rounds from one validation to the next.
        leaves: of a tree, at most.
        lr: the factor of a new tree.
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
            sum(noisy) / len(noisy), self._forest.losses(*clean).tolist(), self._forest.losses(*self._val).tolist()
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
            self._forest = regrow(self._new, rounds)
            self._rounds = list(rounds)


@dataclass(frozen=True)
class Trees(Task):
    """A table of numbers with two classes; 1000 rows validate and the rest tests, up to 5000.

    Args:
        table: a file of the tables, without its ending.
        train: how many rows are trained on.
        every: rounds from one validation to the next.
        leaves: of a tree, at most.
        lr: the factor of a new tree.
    """

    table: str = "churn"
    train: int = 1000
    every: int = 4
    leaves: int = 15
    lr: float = 0.3

    def files(self, folder: Path) -> list[Path]:
        """Return the table; raise an ImportError where LightGBM is missing."""
        lightgbm()
        return check_file(folder / "tabular" / f"{self.table}.tsv.gz")

    def learner(self, folder: Path, seed: int, p: float) -> TreeLearner:
        """Return an empty forest."""
        cells = np.loadtxt(self.files(folder)[0], delimiter="\t", skiprows=1)
        train, val, test = np.split(np.random.default_rng(seed).permutation(cells), [self.train, self.train + 1000])
        parts = [(part[:5000, :-1], part[:5000, -1]) for part in (train, val, test)]
        return TreeLearner((parts[0], parts[1], parts[2]), p, self.every, self.leaves, self.lr)
