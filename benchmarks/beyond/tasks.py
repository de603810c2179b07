"""The tasks that a study can name: functions whose arguments are the settings."""

from __future__ import annotations

from benchmarks.beyond.linear import DroppedFactors, DroppedLogistic, PenalisedFactors, PenalisedLogistic
from benchmarks.beyond.matrix import Matrix
from benchmarks.beyond.passages import Passages
from benchmarks.beyond.patches import Patches
from benchmarks.beyond.splice import Splice
from benchmarks.beyond.trees import Trees
from benchmarks.study.study import Kinds

__all__ = ["TASKS"]


def logistic(train: int = 300, lr: float = 0.01) -> Splice:
    """Logistic regression with dropout on the features."""
    return Splice(DroppedLogistic, train, lr)


def logistic_penalty(train: int = 300, lr: float = 0.01) -> Splice:
    """The same with the closed form in place of the noise."""
    return Splice(PenalisedLogistic, train, lr)


def factors(train: int = 2400, noise: float = 0.5, factors: int = 20, lr: float = 0.01) -> Matrix:
    """Matrix factorisation with dropout on the factors."""
    return Matrix(DroppedFactors, train, noise, factors, lr)


def factors_penalty(train: int = 2400, noise: float = 0.5, factors: int = 20, lr: float = 0.01) -> Matrix:
    """The same with the closed form in place of the noise."""
    return Matrix(PenalisedFactors, train, noise, factors, lr)


TASKS: Kinds = {
    "logistic": logistic,
    "logistic-penalty": logistic_penalty,
    "factors": factors,
    "factors-penalty": factors_penalty,
    "trees": Trees,
    "words": Passages,
    "patches": Patches,
}
