"""Schedules that papers propose for dropout itself: each has one p, and a time when it is reached or left.

In each formula x is the share of the horizon that is done, min(1, step / horizon).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from adaptive_dropout.schedules.base import Schedule
from adaptive_dropout.schedules.horizon import progress

__all__ = ["AnnealedSchedule", "CurriculumSchedule", "EarlySchedule", "LateSchedule"]


@dataclass(frozen=True, eq=False)
class CurriculumSchedule(Schedule):
    """From no dropout towards ``p``, quickly at first: the task gets harder as the network learns.

    Closed form: p (1 - exp(-gamma x)). With ``gamma=10`` nine tenths of p are reached after 23 % of the horizon. At
    its end p is missed by the share exp(-gamma).

    Args:
        p: the limit, in [0, 1].
        steps: the horizon T, an int of optimizer steps or a float in (0, 1] of the run.
        gamma: how sharp the rise is, above 0. It counts per horizon: the paper's gamma, which is per step, times T.

    Source: Morerio et al. (2017), whose keep probability is (1 - q) exp(-gamma t) + q with gamma about 10 / T.

    >>> round(CurriculumSchedule(0.5, steps=1000)(100), 4)
    0.3161
    """

    p: float
    steps: int | float = 1.0
    gamma: float = 10.0
    probabilities: ClassVar[tuple[str, ...]] = ("p",)
    horizons: ClassVar[tuple[str, ...]] = ("steps",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.gamma, bool) or not isinstance(self.gamma, (int, float)):
            raise TypeError(f"gamma has to be a number above 0, but got {self.gamma!r}")
        if not 0.0 < self.gamma < math.inf:
            raise ValueError(f"gamma has to be a finite number above 0, but got {self.gamma}")
        object.__setattr__(self, "gamma", float(self.gamma))

    def __call__(self, step: int) -> float:
        """Return p on the rising exponential."""
        return -self.p * math.expm1(-self.gamma * progress(step, self.steps))


@dataclass(frozen=True, eq=False)
class AnnealedSchedule(Schedule):
    """From ``p`` down to no dropout in a straight line, by default over the whole run.

    Closed form: p max(0, 1 - step / steps).

    Args:
        p: the drop probability at step 0, in [0, 1].
        steps: when 0 is reached, an int of optimizer steps or a float in (0, 1] of the run.

    Source: Rennie et al. (2014), the linear schedule p[t] = p[0] max(0, 1 - t / N).

    >>> AnnealedSchedule(0.5, steps=100)(75)
    0.125
    """

    p: float
    steps: int | float = 1.0
    probabilities: ClassVar[tuple[str, ...]] = ("p",)
    horizons: ClassVar[tuple[str, ...]] = ("steps",)

    def __call__(self, step: int) -> float:
        """Return p on the falling line."""
        return self.p * (1.0 - progress(step, self.steps))


@dataclass(frozen=True, eq=False)
class EarlySchedule(Schedule):
    """Dropout for the first phase only: against underfitting, for a network that never overfits.

    Closed form: p (1 - x), which is 0 from ``cutoff`` on. The shape is that of `AnnealedSchedule`, but the claim is
    that a short phase is enough, so the cutoff has no default.

    Args:
        p: the drop probability at step 0, in [0, 1].
        cutoff: the end of the phase, an int of optimizer steps or a float in (0, 1] of the run.

    Source: Liu et al. (2023), early dropout with the linear decrease.

    >>> early = EarlySchedule(0.5, cutoff=100)
    >>> early(0), early(50), early(100)
    (0.5, 0.25, 0.0)
    """

    p: float
    cutoff: int | float
    probabilities: ClassVar[tuple[str, ...]] = ("p",)
    horizons: ClassVar[tuple[str, ...]] = ("cutoff",)

    def __call__(self, step: int) -> float:
        """Return p on the falling line, 0 from the cutoff on."""
        return self.p * (1.0 - progress(step, self.cutoff, "cutoff"))


@dataclass(frozen=True, eq=False)
class LateSchedule(Schedule):
    """No dropout at first, then ``p`` at once: against overfitting, which begins late.

    Closed form: 0 for step < cutoff, else p.

    Args:
        p: the drop probability from the cutoff on, in [0, 1].
        cutoff: the first step with dropout, an int of optimizer steps or a float in (0, 1] of the run.

    Source: Liu et al. (2023), late dropout.

    >>> late = LateSchedule(0.5, cutoff=100)
    >>> late(99), late(100)
    (0.0, 0.5)
    """

    p: float
    cutoff: int | float
    probabilities: ClassVar[tuple[str, ...]] = ("p",)
    horizons: ClassVar[tuple[str, ...]] = ("cutoff",)

    def __call__(self, step: int) -> float:
        """Return 0 before the cutoff and p from it on."""
        return self.p if progress(step, self.cutoff, "cutoff") >= 1.0 else 0.0
