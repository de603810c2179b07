"""Settings of population based training: the worst of several runs continue as copies of the best, with another p.

All layers of a member share one p: a few members that meet a few times can search only one dimension. Members begin
with the same weights, order of the examples and noise; only their p differs.

Source: Jaderberg et al. (2017); Ray Tune decides who copies whom.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from torch import Tensor

from adaptive_dropout.checks import check_count
from benchmarks.supervised.method import Run

__all__ = ["HIGHEST", "Population", "Start", "check_tune"]

HIGHEST = 0.95
"""The largest p of a member."""


@dataclass(frozen=True)
class Start:
    """The common start of all members.

    Args:
        run: the run, which has been set up.
        seed: of the cell, and of the draws of decisions.
        noise: the state of torch's generator on the CPU.
    """

    run: Run
    seed: int
    noise: Tensor


@dataclass(frozen=True)
class Population:
    """The number of members, how often they meet, and the range in which they begin.

    Args:
        size: members, at least 1.
        interval: validations from one meeting to the next, at least 1.
        low: the lower end of the range in which p begins, and from which it is drawn again.
        high: its upper end, at most 0.95.
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
        """The first p of each member: the middles of equal parts of the range."""
        return [self.low + (self.high - self.low) * (i + 0.5) / self.size for i in range(self.size)]


def check_tune() -> None:
    """Raise an ImportError that says what to install, if Ray Tune cannot be imported."""
    for name in ("ray", "pandas", "pyarrow"):
        if importlib.util.find_spec(name) is None:
            what = f"population based training needs Ray Tune, and {name} is missing"
            raise ImportError(f'{what}: pip install "adaptive-dropout[ray]"')
