"""The plain curves: p stays, moves from a start to an end, or swings between two values.

In each formula x is the share of the horizon that is done, min(1, step / steps), so p stays at the end afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from adaptive_dropout.schedules.base import Schedule
from adaptive_dropout.schedules.horizon import check_step, elapsed, progress

__all__ = ["ConstantSchedule", "CosineSchedule", "CyclicSchedule", "ExponentialSchedule", "LinearSchedule"]


@dataclass(frozen=True, eq=False)
class ConstantSchedule(Schedule):
    """The same p at every step: the dropout that others are compared with, and a segment of a longer plan.

    Closed form: p.

    Args:
        p: the drop probability, in [0, 1].

    Source: Srivastava et al. (2014), section 4.

    >>> ConstantSchedule(0.5)(1000)
    0.5
    """

    p: float
    probabilities: ClassVar[tuple[str, ...]] = ("p",)

    def __call__(self, step: int) -> float:
        """Return p."""
        check_step(step)
        return self.p


@dataclass(frozen=True, eq=False)
class LinearSchedule(Schedule):
    """A straight line from ``start`` to ``end``, up or down.

    Closed form: (1 - x) start + x end.

    Args:
        start: p at step 0, in [0, 1].
        end: p from the horizon on, in [0, 1].
        steps: the horizon, an int of optimizer steps or a float in (0, 1] of the run.

    Source: Yan and Shao (2024) compare linear decay on a small GPT; with ``end=0`` it is Rennie et al. (2014).

    >>> LinearSchedule(0.5, 0.0, steps=100)(50)
    0.25
    """

    start: float
    end: float
    steps: int | float = 1.0
    probabilities: ClassVar[tuple[str, ...]] = ("start", "end")
    horizons: ClassVar[tuple[str, ...]] = ("steps",)

    def __call__(self, step: int) -> float:
        """Return p on the line."""
        return _between(self.start, self.end, progress(step, self.steps))


@dataclass(frozen=True, eq=False)
class CosineSchedule(Schedule):
    """Half a cosine from ``start`` to ``end``: slow at both ends, fastest in the middle, no restarts.

    Closed form: end + (start - end) (1 + cos(pi x)) / 2.

    Args:
        start: p at step 0, in [0, 1].
        end: p from the horizon on, in [0, 1].
        steps: the horizon, an int of optimizer steps or a float in (0, 1] of the run.

    Source: Loshchilov and Hutter (2017), equation 5, where it moves the learning rate.

    >>> CosineSchedule(0.5, 0.0, steps=100)(50)
    0.25
    """

    start: float
    end: float
    steps: int | float = 1.0
    probabilities: ClassVar[tuple[str, ...]] = ("start", "end")
    horizons: ClassVar[tuple[str, ...]] = ("steps",)

    def __call__(self, step: int) -> float:
        """Return p on the half-cosine."""
        x = progress(step, self.steps)
        return _between(self.start, self.end, (1.0 - math.cos(math.pi * x)) / 2.0)


@dataclass(frozen=True, eq=False)
class ExponentialSchedule(Schedule):
    """A geometric path from ``start`` to ``end``: each step multiplies p by the same factor.

    Closed form: start (end / start)^x, computed as start^(1 - x) end^x, which meets both ends exactly.

    Args:
        start: p at step 0, in (0, 1].
        end: p from the horizon on, in (0, 1]; a path to 0 is a `LinearSchedule` or a `CosineSchedule`.
        steps: the horizon, an int of optimizer steps or a float in (0, 1] of the run.

    Source: Yan and Shao (2024) compare exponential decay on a small GPT; here it is fixed by its two ends.

    >>> ExponentialSchedule(1.0, 0.25, steps=100)(50)
    0.5
    """

    start: float
    end: float
    steps: int | float = 1.0
    probabilities: ClassVar[tuple[str, ...]] = ("start", "end")
    horizons: ClassVar[tuple[str, ...]] = ("steps",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.probabilities:
            if getattr(self, name) == 0.0:
                raise ValueError(f"{name} has to be above 0, since no factor leads to or from 0, but got 0.0")

    def __call__(self, step: int) -> float:
        """Return p on the geometric path."""
        x = progress(step, self.steps)
        return float(self.start ** (1.0 - x) * self.end**x)


@dataclass(frozen=True, eq=False)
class CyclicSchedule(Schedule):
    """A triangle wave that begins at ``low``, is at ``high`` half a period later, and never stops.

    Closed form: low + (high - low) (1 - |2 phase - 1|), phase = step / period modulo 1.

    Args:
        low: p at the start of each period, in [0, 1].
        high: p in its middle, in [``low``, 1].
        period: up and down together, an int of optimizer steps or a float in (0, 1] of the run.

    Source: Smith (2017), the triangular policy of section 3, where half a period is called the step size.

    >>> cycle = CyclicSchedule(0.0, 0.5, period=100)
    >>> [cycle(step) for step in (0, 25, 50, 75, 100)]
    [0.0, 0.25, 0.5, 0.25, 0.0]
    """

    low: float
    high: float
    period: int | float
    probabilities: ClassVar[tuple[str, ...]] = ("low", "high")
    horizons: ClassVar[tuple[str, ...]] = ("period",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise ValueError(f"low has to be at most high, but got low={self.low} and high={self.high}")

    def __call__(self, step: int) -> float:
        """Return p on the triangle."""
        phase = elapsed(step, self.period, "period") % 1.0
        return _between(self.low, self.high, 1.0 - abs(2.0 * phase - 1.0))


def _between(start: float, end: float, x: float) -> float:
    # This form, unlike start + x (end - start), gives exactly start at x = 0 and exactly end at x = 1.
    return (1.0 - x) * start + x * end
