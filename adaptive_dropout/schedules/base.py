"""A schedule is frozen numbers and a pure function from the step to p."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from adaptive_dropout.checks import check_p
from adaptive_dropout.schedules.horizon import check_horizon, check_total, resolve

__all__ = ["Schedule"]

S = TypeVar("S", bound="Schedule")


@dataclass(frozen=True, eq=False)
class Schedule(ABC):
    """A drop probability as a function of the step: same step, same p, in any order, as often as asked.

    A subclass is a frozen dataclass with a ``__call__``. Fields that it names in ``probabilities`` have to be in
    [0, 1]; fields in ``horizons`` have to be an int (optimizer steps) or a float in (0, 1] (fraction of the run).
    Schedules are equal if their reprs match. So ``steps=1`` (one step) differs from ``steps=1.0`` (the whole run),
    which would be equal without ``eq=False``, as 1 == 1.0 in Python.
    """

    probabilities: ClassVar[tuple[str, ...]] = ()
    horizons: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self.probabilities:
            object.__setattr__(self, name, check_p(getattr(self, name), name))
        for name in self.horizons:
            object.__setattr__(self, name, check_horizon(getattr(self, name), name))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    @abstractmethod
    def __call__(self, step: int) -> float:
        """Return p, in [0, 1], after ``step`` optimizer steps; 0 is before the first.

        Raises:
            TypeError: ``step`` is not a whole number.
            ValueError: ``step`` is negative, or positive while a horizon is still a fraction.
        """

    def over(self: S, total_steps: int | float) -> S:
        """Return this schedule with each fraction replaced by its share of ``total_steps``, at least 1 step.

        Horizons already in steps stay, so a schedule without fractions comes back equal. ``total_steps`` is a
        whole number, or ``math.inf`` for a run without an end, if the schedule has no fractions.

        Raises:
            TypeError, ValueError: ``total_steps`` is not the length of a run, or is infinite and the schedule has
                a fraction.
        """
        check_total(total_steps)
        steps = {name: resolve(getattr(self, name), total_steps) for name in self.horizons}
        return replace(self, **steps)
