"""Population based training: several runs side by side, of which the worst go on as copies of the best, with another p.

All layers of a member share its p: a handful of members that meet a few times cannot search more dimensions than one.
But for their p members begin alike, in weights, order of the examples and noise.

Source: Jaderberg et al. (2017); Ray Tune decides who copies whom.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass, replace
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

import adaptive_dropout as ad
from adaptive_dropout.checks import check_count
from adaptive_dropout.processes import run_in_processes
from adaptive_dropout.rates import get_rates, set_rates
from benchmarks.supervised.method import Method
from benchmarks.supervised.run import Run

__all__ = ["HIGHEST", "Population", "Start", "check_tune", "population"]

HIGHEST = 0.95
"""The largest p of a member."""


@dataclass(frozen=True)
class Start:
    """Where every member begins.

    Args:
        run: set up.
        seed: of the cell; decisions are drawn from it.
        noise: the state of torch's generator on the CPU.
    """

    run: Run
    seed: int
    noise: Tensor


@dataclass(frozen=True)
class Population:
    """How many members there are, how often they meet, and where they begin.

    Args:
        size: members, at least 1.
        interval: validations from one meeting to the next, at least 1.
        low: the range of p to begin in, and to be thrown back into.
        high: its end, at most 0.95.
    """

    size: int
    interval: int
    low: float
    high: float

    def __post_init__(self) -> None:
        check_count(self.size, "size")
        check_count(self.interval, "interval")
        if not 0 <= self.low <= self.high <= HIGHEST:
            raise ValueError(f"0 <= low <= high <= {HIGHEST} has to hold, but got low {self.low} and high {self.high}")

    @property
    def first(self) -> list[float]:
        """The p of each member at the beginning: the middles of equal parts of the range."""
        return [self.low + (self.high - self.low) * (i + 0.5) / self.size for i in range(self.size)]

    def fit(self, run: Run, trainer: L.Trainer) -> Run:
        """Return what became of the best member, with the seconds of all; ``run.model`` gets its last p.

        The best is the one behind which lies the lowest validation loss when all have ended. Members take turns on the
        one core that a cell has, and on its part of a GPU.

        Raises:
            ImportError: Ray Tune is not installed.
            RuntimeError: a member failed.
        """
        check_tune()
        start = Start(run, torch.initial_seed(), torch.get_rng_state())
        # A process and a Ray of their own: on a cluster, members would wait for the core that their cell holds; and
        # Tune changes what a process shares, from its environment to Python's random numbers.
        work = functools.partial(_searched, self, trainer.default_root_dir)
        [(_, found)] = run_in_processes(work, [start], 1)
        if isinstance(found, Exception):
            raise found
        set_rates(run.model, dict.fromkeys(get_rates(run.model), found.p))
        return replace(run, best=found.best, curves=found.curves, seconds=found.seconds)


def population(size: int = 4, interval: int = 5, low: float = 0.0, high: float = 0.6) -> Method:
    """Bernoulli masks in ``size`` runs; every ``interval`` validations the worst quarter copies runs of the best.

    A copy goes on with 0.8 or 1.2 times the p that it found or, in one case of four, with one drawn from [``low``,
    ``high``], where all begin too.
    """
    return Method(functools.partial(ad.Dropout, high), fit=Population(size, interval, low, high).fit)


def check_tune() -> None:
    """Raise ImportError, in a line that says what to install, where Ray Tune cannot be imported."""
    for name in ("ray", "pandas", "pyarrow"):
        if importlib.util.find_spec(name) is None:
            what = f"population based training needs Ray Tune, and {name} is missing"
            raise ImportError(f'{what}: pip install "adaptive-dropout[ray]"')


def _searched(population: Population, folder: str, start: Start) -> Any:
    from benchmarks.effect.population_search import searched  # takes seconds, and needs Ray Tune

    return searched(population, folder, start)
