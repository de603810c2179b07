"""Schedules: the drop probability as a pure function of the step. Standard library only.

A horizon is an ``int`` of optimizer steps or a ``float`` in (0, 1], a fraction of the training run.
``DropoutRateScheduler`` turns fractions into steps when a run begins; anywhere else ``.over(total_steps)`` does.
"""

from __future__ import annotations

from adaptive_dropout.schedules.base import Schedule
from adaptive_dropout.schedules.piecewise import SequentialSchedule, StepSchedule
from adaptive_dropout.schedules.published import (
    AnnealedSchedule,
    CurriculumSchedule,
    EarlySchedule,
    LateSchedule,
)
from adaptive_dropout.schedules.shapes import (
    ConstantSchedule,
    CosineSchedule,
    CyclicSchedule,
    ExponentialSchedule,
    LinearSchedule,
)

__all__ = [
    "AnnealedSchedule",
    "ConstantSchedule",
    "CosineSchedule",
    "CurriculumSchedule",
    "CyclicSchedule",
    "EarlySchedule",
    "ExponentialSchedule",
    "LateSchedule",
    "LinearSchedule",
    "Schedule",
    "SequentialSchedule",
    "StepSchedule",
]
