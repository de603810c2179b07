"""The schedules that are compared, and how the results are shown: a table against the constant rate, bars and curves.

Bernoulli dropout whose p follows a schedule over the run stands beside p that is 0, constant, or steered by validation.
"""

from __future__ import annotations

import functools
from pathlib import Path

import adaptive_dropout as ad
from benchmarks.report.comparison import explain, find_name, methods_table
from benchmarks.report.figures import bars_and_curves
from benchmarks.report.page import Page, Rows, write_page
from benchmarks.schedules.text_task import TextTask
from benchmarks.study.command import Experiment
from benchmarks.study.study import Kinds, Study
from benchmarks.supervised.image_task import IMAGE_TASKS
from benchmarks.supervised.method import Method, adaptive, none, standard
from benchmarks.supervised.training import TrainedRow, train

__all__ = ["METHODS", "PAGE", "SCHEDULES", "TASKS"]


def linear(start: float = 0.0, end: float = 0.5) -> Method:
    """A straight line over the whole run."""
    return _scheduled(ad.LinearSchedule(start, end))


def cosine(start: float = 0.5, end: float = 0.0) -> Method:
    """Half a cosine over the whole run."""
    return _scheduled(ad.CosineSchedule(start, end))


def annealed(p: float = 0.5) -> Method:
    """From ``p`` to 0 in a straight line over the whole run: Rennie et al. (2014)."""
    return _scheduled(ad.AnnealedSchedule(p))


def curriculum(p: float = 0.5, gamma: float = 10.0) -> Method:
    """From 0 towards ``p``, quickly at first: Morerio et al. (2017)."""
    return _scheduled(ad.CurriculumSchedule(p, gamma=gamma))


def early(p: float = 0.5, cutoff: float = 0.3) -> Method:
    """From ``p`` to 0 at the share ``cutoff`` of the run, then 0: Liu et al. (2023)."""
    return _scheduled(ad.EarlySchedule(p, cutoff))


def late(p: float = 0.5, cutoff: float = 0.5) -> Method:
    """0 up to the share ``cutoff`` of the run, then ``p``: Liu et al. (2023)."""
    return _scheduled(ad.LateSchedule(p, cutoff))


def cyclic(low: float = 0.0, high: float = 0.5, period: float = 0.25) -> Method:
    """Between ``low`` and ``high`` and back in each ``period``, a share of the run: Smith (2017), for the step size."""
    return _scheduled(ad.CyclicSchedule(low, high, period))


def _scheduled(schedule: ad.Schedule) -> Method:
    return Method(functools.partial(ad.Dropout, schedule))


_KINDS = (none, standard, adaptive, linear, cosine, annealed, curriculum, early, late, cyclic)

METHODS: Kinds = {kind.__name__: kind for kind in _KINDS}
"""Every kind of method by its name."""

TASKS: Kinds = {**IMAGE_TASKS, "shakespeare-gpt": TextTask}
"""Every kind of task by its name."""


def _table(study: Study, rows: Rows) -> str:
    return methods_table(study, rows, find_name(study, "standard"))


PAGE = Page("schedules", "Planned rates", explain("the first constant rate"), _table, bars_and_curves)
"""The report on this question."""

SCHEDULES = Experiment(Path(__file__).parent, TASKS, METHODS, TrainedRow, train, functools.partial(write_page, PAGE))
"""The question and its studies."""
