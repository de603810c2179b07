"""Schedules: the drop probability as a pure function of the step. Standard library only.

A horizon is an ``int`` of optimizer steps or a ``float`` in (0, 1], a fraction of the training run, which
``DropoutRateScheduler`` resolves when a run begins, and ``.over(total_steps)`` anywhere else.

Constant, Linear, Cosine, Exponential, Step and Cyclic schedules are shapes. CurriculumSchedule is of Morerio et al.
(2017), AnnealedSchedule of Rennie et al. (2014), EarlySchedule and LateSchedule of Liu et al. (2023).
SequentialSchedule puts schedules one after another. progressive_layer_dropping makes one for each layer of a network.
"""

from __future__ import annotations

from adaptive_dropout.schedules.base import Schedule
from adaptive_dropout.schedules.depth import progressive_layer_dropping
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
    "progressive_layer_dropping",
]
