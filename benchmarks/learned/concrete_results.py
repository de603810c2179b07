"""One line of results: a network with concrete dropout, trained once, and where."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.speed.results import Place

__all__ = ["Row"]


@dataclass(frozen=True)
class Row(Place):
    """One training run.

    Args:
        variant: a name in the benchmark's recipes.
        n: training examples.
        seed: of data, initial weights, order and noise.
        steps: of the optimizer.
        score: RMSE of the mean of 20 samples, or accuracy with dropout off, on the test data.
        rates: p of each layer at the end.
        seconds: from the first step to the last.
    """

    variant: str
    n: int
    seed: int
    steps: int
    score: float
    rates: tuple[float, ...]
    seconds: float
