"""The targets of the layers, as data; the table says which of them are met."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.speed.contenders import NAIVE, TORCH
from benchmarks.speed.results import Case, Group, Groups, compare_times, find_saved

__all__ = ["TARGETS", "Outcome", "Target", "find_outcomes"]

SMALL, MIDDLE, LARGE = (1 << 8, 1 << 10), (1 << 13, 1 << 16), (1 << 20, 1 << 22)
NO_BYTES = 0.1  # an element: a key and some settings are saved, 700 bytes in all


@dataclass(frozen=True)
class Target:
    """One number, at several sizes, that has to be at least or at most something."""

    says: str
    noise: str
    what: str
    sizes: tuple[int, ...]
    value: Callable[[Group], float]
    least: float = -math.inf
    most: float = math.inf
    place: tuple[str, int, str] = ("cpu", 1, "recycling")


@dataclass(frozen=True)
class Outcome:
    """The value for a target at one size: ``margin`` is below 1 if it is missed, NaN if it was not measured."""

    target: Target
    case: Case
    value: float
    margin: float


def find_outcomes(groups: Groups) -> Iterator[Outcome]:
    """Yield the measured value for each target and size, on the devices that were measured."""
    devices = {case.device for case in groups}
    for target in TARGETS:
        if target.place[0] in devices:
            for size in target.sizes:
                case = Case(*target.place, target.noise, target.what, size)
                value = target.value(groups[case]) if case in groups else math.nan
                yield Outcome(target, case, value, _margin(target, value))


def _margin(target: Target, value: float) -> float:
    if math.isnan(value):
        return math.nan
    return value / target.least if target.least > -math.inf else target.most / max(value, 1e-9)


def _faster(least: float, against: str, noise: str, what: str, sizes: tuple[int, ...]) -> Target:
    says = f"{least:g} times as fast as {against}"
    return Target(says, noise, what, sizes, partial(compare_times, against=against), least)


BOTH, FORWARD = "forward+backward", "forward"
CONCRETE = "concrete, p learned"
DEFAULT = ("cpu", 1, "default")

TARGETS = (
    _faster(12, TORCH, "Bernoulli", BOTH, LARGE),
    _faster(25, TORCH, "Bernoulli", FORWARD, LARGE),
    _faster(5, TORCH, "Bernoulli", BOTH, (1 << 16,)),
    _faster(1.3, TORCH, "Bernoulli", BOTH, (1 << 13,)),
    *(_faster(0.91, TORCH, "Bernoulli", what, SMALL) for what in (FORWARD, BOTH)),  # no more than 1.1 of its time
    replace(_faster(4, TORCH, "Bernoulli", BOTH, (1 << 22,)), place=DEFAULT),
    _faster(8, NAIVE, CONCRETE, BOTH, LARGE),
    _faster(2, NAIVE, "Gaussian", BOTH, LARGE),
    *(
        Target("0 bytes an element saved", noise, BOTH, MIDDLE + LARGE, find_saved, most=NO_BYTES)
        for noise in ("Bernoulli", CONCRETE, "Gaussian")
    ),
)
