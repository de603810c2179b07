"""LightGBM, and what its DART has to be told so that a rate that changes from round to round is what it says."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Forest", "lightgbm", "regrown"]

Array = NDArray[np.float64]


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
        lr: what a new tree is multiplied by.

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


def regrown(new: Callable[[], Forest], rounds: Sequence[tuple[float, int]]) -> Forest:
    """Return a new forest after these rounds of (p, seed): bit for bit the one that was grown so before."""
    forest = new()
    for p, seed in rounds:
        forest.grow(p, seed)
    return forest
