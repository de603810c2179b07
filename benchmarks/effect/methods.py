"""The methods that are compared: no dropout, and each kind of it. The arguments of a kind are its settings.

The learned rate follows the training loss alone, without a prior, to show the failure that the literature warns of.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import lightning.pytorch as L
import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import MaxNorm
from adaptive_dropout.checks import check_p
from adaptive_dropout.processes import run_in_processes
from adaptive_dropout.rates import get_rates, set_rates
from benchmarks.effect.population import Population, Start, check_tune
from benchmarks.study.study import Kinds
from benchmarks.study.training import ConcretePenalty
from benchmarks.supervised.method import Method, Run, adaptive, none, standard

__all__ = ["METHODS"]


def max_norm(p: float = 0.5, input_p: float = 0.2, norm: float = 2.0) -> Method:
    """Fixed ``p`` for units and ``input_p`` for pixels, weights into a unit of at most ``norm``: Srivastava (2014)."""
    change = functools.partial(_with_dropped_input, check_p(input_p, "input_p"))
    MaxNorm(norm)  # raises if the norm is out of range
    return Method(functools.partial(ad.Dropout, p), lambda: [MaxNorm(norm)], change)


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


def population(size: int = 4, interval: int = 5, low: float = 0.0, high: float = 0.6) -> Method:
    """Bernoulli masks in ``size`` runs; every ``interval`` validations the worst quarter copies runs of the best.

    A copy continues with 0.8 or 1.2 times its p or, in one case of four, with a p drawn from [``low``, ``high``], the
    range in which all begin: Jaderberg et al. (2017).
    """
    settings = Population(size, interval, low, high)
    return Method(functools.partial(ad.Dropout, high), fit=functools.partial(_fit, settings))


def _fit(settings: Population, run: Run, trainer: L.Trainer) -> Run:
    """Return the best member at its end, with the seconds of all members; ``run.model`` gets its last p.

    The best member has the lowest validation loss behind it when all have ended. Members take turns on the one core
    that a cell has, and on its part of a GPU. Raise ImportError without Ray Tune, RuntimeError if a member failed.
    """
    check_tune()
    start = Start(run, torch.initial_seed(), torch.get_rng_state())
    # A process and a Ray of their own: on a cluster, members would wait for the core that their cell holds; and Tune
    # changes the state that a process shares, from its environment to Python's random numbers.
    work = functools.partial(_search, settings, trainer.default_root_dir)
    [(_, found)] = run_in_processes(work, [start], 1)
    if isinstance(found, Exception):
        raise found
    set_rates(run.model, dict.fromkeys(get_rates(run.model), found.p))
    return replace(run, best=found.best, curves=found.curves, seconds=found.seconds)


def _search(settings: Population, folder: str, start: Start) -> Any:
    from benchmarks.effect.population_search import search  # takes seconds, and needs Ray Tune

    return search(settings, folder, start)


def _with_dropped_input(p: float, network: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict([("dropout0", ad.Dropout(p)), *network.named_children()]))


_KINDS = (none, standard, max_norm, gaussian, concrete, scheduled, learned, adaptive, population)

METHODS: Kinds = {kind.__name__: kind for kind in _KINDS}
"""Every kind of method by its name."""
