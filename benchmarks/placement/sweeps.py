"""The rows of a task as sweeps: for each place the rows of every p, no dropout as its p = 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.placement.methods import ALL
from benchmarks.study.study import Study
from benchmarks.supervised.compare import summarised
from benchmarks.supervised.training import TrainedRow

__all__ = ["Sweep", "chosen", "none_of", "sweeps"]

Sweep = Mapping[float, Sequence[TrainedRow]]
"""Rows by p, in rising order, a row a seed."""


def sweeps(study: Study, methods: Mapping[str, Sequence[TrainedRow]]) -> dict[str, Sweep]:
    """Return the sweep of each place, or of several, that has rows with dropout; ``methods`` is by their names."""
    found: dict[str, dict[float, Sequence[TrainedRow]]] = {}
    for method in study.methods:
        if method.kind == "after" and method.name in methods:
            place = "all" if method.settings["places"] == ALL else method.settings["places"]
            found.setdefault(place, {})[method.settings["p"]] = methods[method.name]
    start = {0.0: rows} if (rows := none_of(study, methods)) else {}
    return {place: dict(sorted((start | sweep).items())) for place, sweep in found.items()}


def none_of(study: Study, methods: Mapping[str, Sequence[TrainedRow]]) -> Sequence[TrainedRow]:
    """Return the rows without dropout, empty if there are none."""
    return next(
        (methods[method.name] for method in study.methods if method.kind == "none" and method.name in methods), []
    )


def chosen(sweep: Sweep) -> float:
    """Return the p with the lowest mean validation loss."""
    return min(sweep, key=lambda p: summarised(sweep[p], lambda row: row.val_loss)[0])
