"""Milestones cut a run into segments: horizons in increasing order, each the first step of the next segment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from adaptive_dropout.schedules.horizon import check_horizon, check_step, elapsed, resolve

__all__ = ["as_tuple", "check_milestones", "resolve_milestones", "segment"]


def as_tuple(values: object, name: str) -> tuple[object, ...]:
    """Return a list or tuple as a tuple; anything else, such as a string, is a TypeError."""
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{name} has to be a list or tuple, but got {values!r}")
    return tuple(values)


def check_milestones(milestones: object) -> tuple[int | float, ...]:
    """Return ``milestones`` as a tuple, strictly increasing, all in steps (int) or all in fractions (float).

    Raises:
        TypeError: they are not a list or tuple, or an entry is neither an int nor a float.
        ValueError: an entry is out of range, ints are mixed with floats, or they are not strictly increasing.
    """
    listed = as_tuple(milestones, "milestones")
    checked = tuple(check_horizon(milestone, f"milestones[{i}]") for i, milestone in enumerate(listed))
    if len({type(milestone) for milestone in checked}) > 1:
        raise ValueError(f"milestones have to be all ints (steps) or all floats (fractions), but got {checked}")
    if any(after <= before for before, after in pairwise(checked)):
        raise ValueError(f"milestones have to be strictly increasing, but got {checked}")
    return checked


def resolve_milestones(milestones: Sequence[int | float], total_steps: int | float) -> tuple[int, ...]:
    """Return the milestones in whole steps, at least 1 and still strictly increasing however short the run."""
    steps: list[int] = []
    for milestone in milestones:
        # In a run of 1 step (fast_dev_run) all fractions round to 1; each segment keeps at least one step.
        earliest = steps[-1] + 1 if steps else 1
        steps.append(max(earliest, resolve(milestone, total_steps)))
    return tuple(steps)


def segment(step: int, milestones: Sequence[int | float]) -> int:
    """Return the index of the segment that ``step`` is in: how many milestones have been reached.

    Raises:
        TypeError, ValueError: ``step`` is not a whole number from 0 up.
        ValueError: the milestones are fractions of a run of unknown length, and the run has begun.
    """
    done = check_step(step)
    if done == 0 or not milestones:
        return 0
    elapsed(done, milestones[0], "milestones[0]")  # raises for a fraction, and then all milestones are fractions
    return bisect_right(milestones, done)
