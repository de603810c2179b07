"""Bernoulli dropout whose p follows a schedule over the run, beside p that is 0, constant, or steered by validation."""

from __future__ import annotations

import functools

import adaptive_dropout as ad
from benchmarks.study.study import Kinds
from benchmarks.supervised.method import Method, adaptive, none, standard

__all__ = ["METHODS"]


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
