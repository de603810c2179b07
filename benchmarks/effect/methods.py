"""What is compared: no dropout, and each kind of it. A kind is a line in `METHODS`; its arguments are its settings.

The learned rate follows the training loss alone, without a prior: what the literature warns of is part of the picture.
"""

from __future__ import annotations

import functools

import adaptive_dropout as ad
from benchmarks.control.concrete import ConcretePenalty
from benchmarks.effect.max_norm import max_norm
from benchmarks.effect.population import population
from benchmarks.study.study import Kinds
from benchmarks.supervised.method import Method, adaptive, none, standard

__all__ = ["METHODS"]


def gaussian(p: float = 0.3) -> Method:
    """Multiplicative Gaussian noise of the variance of Bernoulli's: Srivastava et al. (2014), section 10."""
    return Method(functools.partial(ad.GaussianDropout, p))


def concrete(p: float = 0.1) -> Method:
    """Soft masks with a ``p`` learned under a prior: Gal, Hron and Kendall (2017)."""
    return Method(functools.partial(ad.ConcreteDropout, p), lambda: [ConcretePenalty()])


def scheduled(start: float = 0.5, end: float = 0.0) -> Method:
    """A half cosine from ``start`` to ``end`` over the run."""
    return Method(functools.partial(ad.Dropout, ad.CosineSchedule(start, end)))


def learned(p: float = 0.1) -> Method:
    """Gaussian noise whose ``p`` is learned from the training loss alone."""

    def layer() -> ad.GaussianDropout:
        return ad.GaussianDropout(ad.LearnedRate(p))

    return Method(layer)


_KINDS = (none, standard, max_norm, gaussian, concrete, scheduled, learned, adaptive, population)

METHODS: Kinds = {kind.__name__: kind for kind in _KINDS}
"""Every kind of method by its name."""
