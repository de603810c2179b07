"""A run cut at milestones, with a value or a whole schedule for each segment.

A milestone is the first step of the segment it opens. Milestones are all ints (optimizer steps) or all floats
in (0, 1] (fractions of the run), strictly increasing, one fewer than there are segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from adaptive_dropout.checks import check_p
from adaptive_dropout.schedules.base import Schedule
from adaptive_dropout.schedules.horizon import check_total
from adaptive_dropout.schedules.milestones import as_tuple, check_milestones, resolve_milestones, segment

__all__ = ["SequentialSchedule", "StepSchedule"]


@dataclass(frozen=True, eq=False)
class StepSchedule(Schedule):
    """A staircase: ``values[0]`` until the first milestone, ``values[1]`` until the second, and so on.

    Closed form: values[number of milestones <= step].

    Args:
        values: the drop probabilities, each in [0, 1], one more than milestones.
        milestones: where the value changes; a list is kept as a tuple.

    Source: Goyal et al. (2017), section 5.1, where the learning rate falls at epochs 30, 60 and 80.

    >>> stairs = StepSchedule(values=(0.5, 0.25, 0.0), milestones=(100, 200))
    >>> [stairs(step) for step in (0, 99, 100, 199, 200)]
    [0.5, 0.5, 0.25, 0.25, 0.0]
    """

    values: tuple[float, ...]
    milestones: tuple[int | float, ...]

    def __post_init__(self) -> None:
        values = as_tuple(self.values, "values")
        checked = tuple(check_p(value, f"values[{i}]") for i, value in enumerate(values))
        object.__setattr__(self, "values", checked)
        object.__setattr__(self, "milestones", check_milestones(self.milestones))
        _check_counts("values", self.values, self.milestones)

    def __call__(self, step: int) -> float:
        """Return the value of the segment that ``step`` is in."""
        return self.values[segment(step, self.milestones)]

    def over(self, total_steps: int | float) -> StepSchedule:
        """Return the staircase with its milestones in steps, each segment at least 1 step long."""
        return replace(self, milestones=resolve_milestones(self.milestones, check_total(total_steps)))


@dataclass(frozen=True, eq=False)
class SequentialSchedule(Schedule):
    """Schedules one after another, each of which counts steps from its own start.

    Closed form: schedules[i](step - start of segment i), i = number of milestones <= step.

    Args:
        schedules: one for each segment; a list is kept as a tuple.
        milestones: where the second, third, ... schedule begins, one fewer than schedules.

    Fractions are resolved by ``over``: the milestones against the whole run, a fraction inside a schedule
    against the length of that schedule's own segment. So ``steps=1.0`` inside means "until the next milestone".

    Source: the composition is that of ``torch.optim.lr_scheduler.SequentialLR`` (PyTorch 1.10, 2021).

    >>> from adaptive_dropout.schedules import AnnealedSchedule, ConstantSchedule, LinearSchedule
    >>> warm_up = LinearSchedule(0.0, 0.5)
    >>> plan = SequentialSchedule((warm_up, ConstantSchedule(0.5), AnnealedSchedule(0.5)), (0.25, 0.5))
    >>> plan = plan.over(total_steps=400)
    >>> [plan(step) for step in (0, 50, 100, 200, 300, 400)]
    [0.0, 0.25, 0.5, 0.5, 0.25, 0.0]
    """

    schedules: tuple[Schedule, ...]
    milestones: tuple[int | float, ...]

    def __post_init__(self) -> None:
        schedules = as_tuple(self.schedules, "schedules")
        for i, schedule in enumerate(schedules):
            if not isinstance(schedule, Schedule):
                raise TypeError(f"schedules[{i}] has to be a Schedule, but got {schedule!r}")
        object.__setattr__(self, "schedules", schedules)
        object.__setattr__(self, "milestones", check_milestones(self.milestones))
        _check_counts("schedules", self.schedules, self.milestones)

    def __call__(self, step: int) -> float:
        """Return the p of the segment's schedule, at the steps done since the segment began."""
        i = segment(step, self.milestones)
        start = self.milestones[i - 1] if i > 0 else 0
        return self.schedules[i](int(step - start))

    def over(self, total_steps: int | float) -> SequentialSchedule:
        """Return the same plan in whole steps: milestones as shares of the run, inner fractions of their segment.

        A last segment that begins at or after ``total_steps`` counts as 1 step long.
        """
        total = check_total(total_steps)
        milestones = resolve_milestones(self.milestones, total)
        last = milestones[-1] if milestones else 0
        bounds = (0, *milestones, max(total, last + 1))
        lengths = (end - start for start, end in pairwise(bounds))
        schedules = tuple(schedule.over(n) for schedule, n in zip(self.schedules, lengths, strict=True))
        return replace(self, schedules=schedules, milestones=milestones)


def _check_counts(name: str, entries: Sequence[object], milestones: Sequence[object]) -> None:
    if len(entries) != len(milestones) + 1:
        raise ValueError(
            f"{name} have to be one more than milestones, but got {len(entries)} {name} "
            f"and {len(milestones)} milestones"
        )
