"""The methods that are compared: fixed rates, which are the grid, and those that claim to need only one run.

A method is one line in `METHODS`: a dropout layer and the callbacks that move its rate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import lightning.pytorch as L
import torch

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.networks import DropoutFactory
from benchmarks.study.training import ConcretePenalty

__all__ = ["GRID", "METHODS", "REPEATS", "STARTS", "Method"]


@dataclass(frozen=True)
class Method:
    """One way to choose the dropout rate.

    Args:
        dropout: makes a dropout layer.
        start: the p that it starts with, in [0, 1].
        callbacks: makes the callbacks of one run.
    """

    dropout: DropoutFactory
    start: float
    callbacks: Callable[[], Sequence[L.Callback]] = tuple


def fixed(p: float) -> Method:
    """Keep the rate at ``p``."""
    return Method(functools.partial(ad.Dropout, p), p)


def scheduled(schedule: ad.Schedule) -> Method:
    """Let the rate follow ``schedule``, whatever the run does."""
    return Method(functools.partial(ad.Dropout, schedule), schedule(0))


def rule(name: str, controller: ad.Controller, start: float) -> dict[str, Method]:
    """Return ``{"<name>:<start>": ...}``: ``controller`` steers the rates from ``start``."""
    layer = functools.partial(ad.Dropout, start)
    return {f"{name}:{start:g}": Method(layer, start, lambda: [DropoutRateControl(controller)])}


GRID = {f"fixed:{i / 10:g}": fixed(i / 10) for i in range(10)}
"""The ten fixed rates that a grid search would train; ``fixed:0`` is a network without dropout."""


class _OtherNoise(L.Callback):
    """Draws other dropout masks than the seed would; split, initial weights and order of the data stay the same."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        torch.manual_seed(torch.initial_seed() + 1)


REPEATS = {name: name.replace("fixed", "again") for name in GRID}
"""The names of methods that train each fixed rate once more with other noise, to test the choice by validation."""

STARTS = (0.01, 0.05, 0.3, 0.6, 0.8)
"""Where every rule that claims to work from any start begins."""

# The rules that rewind: an entry here runs from each of STARTS.
RULES: Mapping[str, ad.Controller] = {
    "rewind": ad.RewindController(),
    "balance-rewind": ad.RewindController(ad.BalanceController()),
    "slope-rewind": ad.RewindController(ad.SlopeController()),
    "rewind-only": ad.RewindController(ad.FixedController()),
    "hypergradient-rewind": ad.RewindController(ad.HypergradientController()),
    "response-rewind": ad.RewindController(ad.ResponseController()),
}

METHODS: dict[str, Method] = {
    **GRID,
    **{again: replace(GRID[name], callbacks=lambda: [_OtherNoise()]) for name, again in REPEATS.items()},
    **rule("plateau", ad.PlateauController(), 0.3),
    # It starts by itself: from each of STARTS the run would be the same.
    **rule("restart", ad.RestartController(), ad.RestartController().starting_rates({"p": 0.5})["p"]),
    "linear": scheduled(ad.LinearSchedule(0.5, 0.0)),
    "cosine": scheduled(ad.CosineSchedule(0.5, 0.0)),
    "exponential": scheduled(ad.ExponentialSchedule(0.5, 0.05)),
    "step": scheduled(ad.StepSchedule((0.5, 0.25, 0.0), (1 / 3, 2 / 3))),
    "cyclic": scheduled(ad.CyclicSchedule(0.1, 0.5, 0.2)),
    "annealed": scheduled(ad.AnnealedSchedule(0.5)),
    "curriculum": scheduled(ad.CurriculumSchedule(0.5)),
    "early": scheduled(ad.EarlySchedule(0.5, cutoff=0.5)),
    "late": scheduled(ad.LateSchedule(0.5, cutoff=0.5)),
    "concrete": Method(functools.partial(ad.ConcreteDropout, 0.1), 0.1, lambda: [ConcretePenalty()]),
    **{
        name: method
        for key, controller in RULES.items()
        for start in STARTS
        for name, method in rule(key, controller, start).items()
    },
}
"""Every method by its name. Names never change: rows of earlier runs are found by them."""
