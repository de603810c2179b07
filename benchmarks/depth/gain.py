"""What a tilt gains: each seed chooses by validation loss, and its own choice of a uniform rate is the reference."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.study.statistics import Spread, mean_of_any
from benchmarks.study.study import Study
from benchmarks.supervised.training import TrainedRow

__all__ = ["Chosen", "Sweeps", "choose", "find_sweeps", "gain_of_tilt", "oracle", "oracle_gain"]

Sweeps = Mapping[float, Mapping[float, Sequence[TrainedRow]]]
"""Rows by tilt, in rising order, and then by mean rate; without dropout, the mean rate is 0 at every tilt."""

Chosen = Mapping[float, tuple[float, TrainedRow]]
"""What one seed has chosen: mean rate and row by tilt; always with the uniform rates, tilt 0."""


def find_sweeps(study: Study, methods: Mapping[str, Sequence[TrainedRow]]) -> Sweeps:
    """Return the rows of each tilt that was run; ``methods`` has the rows by name."""
    start: dict[float, Sequence[TrainedRow]] = {}
    found: dict[float, dict[float, Sequence[TrainedRow]]] = {}
    for method in study.methods:
        if method.name not in methods:
            continue
        if method.kind == "none":
            start = {0.0: methods[method.name]}
        else:
            found.setdefault(method.settings["tilt"], {})[method.settings["p"]] = methods[method.name]
    return {tilt: dict(sorted((start | by_mean).items())) for tilt, by_mean in sorted(found.items())}


def choose(sweeps: Sweeps) -> dict[int, Chosen]:
    """Return for each seed the mean with the lowest validation loss of each tilt.

    A study that was stopped is compared fairly: only means that a seed has at every tilt can be chosen, and a seed
    without such a mean above 0 is left out.
    """
    by_seed: dict[int, dict[float, dict[float, TrainedRow]]] = {}
    for tilt, by_mean in sweeps.items():
        for mean, rows in by_mean.items():
            for row in rows:
                by_seed.setdefault(row.seed, {}).setdefault(tilt, {})[mean] = row
    chosen: dict[int, Chosen] = {}
    for seed, by_tilt in sorted(by_seed.items()):
        common = functools.reduce(set.intersection, (set(rows) for rows in by_tilt.values()))
        if 0.0 in by_tilt and len(by_tilt) == len(sweeps) and any(common):
            chosen[seed] = {tilt: _lowest(rows, common) for tilt, rows in by_tilt.items()}
    return chosen


def _lowest(rows: Mapping[float, TrainedRow], means: Iterable[float]) -> tuple[float, TrainedRow]:
    mean = min(sorted(means), key=lambda mean: rows[mean].val_loss)
    return mean, rows[mean]


def gain_of_tilt(chosen: Mapping[int, Chosen], tilt: float) -> Spread | None:
    """Return mean and standard error over the seeds of the test loss with ``tilt`` minus that with uniform rates.

    Both have as many means to choose from, so chance favours neither; below 0 the tilt is better. None without seeds.
    """
    return mean_of_any(each[tilt][1].test_loss - each[0.0][1].test_loss for each in chosen.values())


def oracle(each: Chosen) -> float:
    """Return the tilt with the lowest validation loss, the smallest of several such."""
    return min(sorted(each, key=abs), key=lambda tilt: each[tilt][1].val_loss)


def oracle_gain(chosen: Mapping[int, Chosen]) -> Spread | None:
    """Return the same for the tilt that each seed's `oracle` chooses.

    It chooses among more runs than the uniform rates have, so part of a gain is the luck of more draws.
    """
    return mean_of_any(_gains(chosen))


def _gains(chosen: Mapping[int, Chosen]) -> Iterator[float]:
    for each in chosen.values():
        yield each[oracle(each)][1].test_loss - each[0.0][1].test_loss
