"""The choice of a rate from the validation losses of all folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

__all__ = ["Choice", "Score", "choose"]


@dataclass(frozen=True)
class Score:
    """The validation loss of a rate over the folds, in nats per example.

    Args:
        mean: over the folds.
        error: its standard error; infinite where a loss is.
    """

    mean: float
    error: float


@dataclass(frozen=True)
class Choice:
    """The rates that the scores recommend.

    Args:
        scores: by rate, in rising order of the rates.
        best: the rate with the lowest mean; of two equal means, the lower rate.
        strongest: the highest rate whose mean exceeds the lowest mean by at most the best rate's standard error.
    """

    scores: Mapping[float, Score]
    best: float
    strongest: float


def choose(losses: Mapping[float, Sequence[float]]) -> Choice:
    """Return the choice from the validation losses of every rate: one for each fold, and at least two.

    Raises:
        ValueError: no rate has a finite mean.

    Source: Breiman et al. (1984), section 3.4.3, for the one-standard-error rule.
    """
    scores = {p: _score(losses[p]) for p in sorted(losses)}
    finite = {p: score for p, score in scores.items() if math.isfinite(score.mean)}
    if not finite:
        raise ValueError("no rate was trained to a finite validation loss in every fold; try a lower learning rate")
    best = min(finite, key=lambda p: finite[p].mean)
    limit = finite[best].mean + finite[best].error
    return Choice(scores, best, max(p for p in finite if finite[p].mean <= limit))


def _score(losses: Sequence[float]) -> Score:
    if not all(map(math.isfinite, losses)):
        return Score(math.inf, math.inf)
    return Score(fmean(losses), stdev(losses) / math.sqrt(len(losses)))
