"""What is compared: no dropout, and each kind of it. A kind is a line in `METHODS`; its arguments are its settings.

The learned rate follows the training loss alone, without a prior: what the literature warns of is part of the picture.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightning.pytorch as L

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.networks import DropoutFactory
from benchmarks.control.concrete import ConcretePenalty
from benchmarks.study.study import Kinds

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """One way to use dropout, or none.

    Args:
        dropout: makes a dropout layer; called once here, so that a p out of range is told at once.
        callbacks: makes the callbacks of one run.
    """

    dropout: DropoutFactory
    callbacks: Callable[[], Sequence[L.Callback]] = tuple

    def __post_init__(self) -> None:
        self.dropout()


def none() -> Method:
    """The same network, its dropout at 0."""
    return Method(functools.partial(ad.Dropout, 0.0))


def standard(p: float = 0.3) -> Method:
    """Bernoulli masks with a fixed ``p``: Srivastava et al. (2014)."""
    return Method(functools.partial(ad.Dropout, p))


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


def adaptive(p: float = 0.3) -> Method:
    """`RewindController`, the default of `AdaptiveDropout`, from ``p`` on."""
    return Method(functools.partial(ad.Dropout, p), lambda: [DropoutRateControl(ad.RewindController())])


METHODS: Kinds = {kind.__name__: kind for kind in (none, standard, gaussian, concrete, scheduled, learned, adaptive)}
"""Every kind of method by its name."""
