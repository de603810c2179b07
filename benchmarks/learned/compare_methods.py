"""What is compared: every way to learn a rate, each from one start, and norms of the weights beside dropout.

The references, the ten fixed rates and the default controller, are rows of `benchmarks.control` and not trained anew.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace

import lightning.pytorch as L
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import BernoulliGradient, L1Penalty, L2Penalty, RatePenalty
from benchmarks.control.methods import METHODS, Method
from benchmarks.learned import compare_surgery as surgery
from benchmarks.learned.compare_examples import ExampleLosses
from benchmarks.learned.compare_surgery import START, Surgery

__all__ = ["BESIDE", "DEFAULTS", "LEARNED", "NORMS", "PENALTIES", "TASKS", "norm_method"]

TASKS = (
    *("digits:200", "digits:1000", "digits:500:noise", "digits:500:noise:sgd", "diabetes", "diabetes:cosine"),
    *("breast-cancer", "boston", "energy", "yacht", "wine", "power", "protein"),
    *("letter", "phoneme", "satimage", "spambase"),
)
"""The tasks of the study with a dense network, tables or 8 x 8 digits, on which a run takes seconds."""

DEFAULTS = ("rewind:0.05", "rewind:0.3")
"""The default controller of the library from two starts; rows of the study."""

WIDTH = 256  # of both hidden layers
WARM_UP = ad.LinearSchedule(0.0, 1.0, steps=0.2)


def _changed(change: Callable[[nn.Module], None], *callbacks: Callable[[], L.Callback], start: float = START) -> Method:
    plain = functools.partial(ad.Dropout, 0.0)
    return Method(plain, start, lambda: [Surgery(change), *(make() for make in callbacks)])


def _beside(layer: Callable[[], nn.Module], *callbacks: Callable[[], L.Callback]) -> Method:
    return Method(layer, START, lambda: [make() for make in callbacks])


LEARNED: dict[str, Method] = {
    "concrete:penalty": _changed(surgery.concrete, RatePenalty),
    "variational:layer": _beside(functools.partial(ad.VariationalDropout, START, WIDTH), RatePenalty),
    "variational:unit": _beside(lambda: ad.VariationalDropout(ad.LearnedRate(START, (WIDTH,))), RatePenalty),
    "sparse": _changed(surgery.sparse, functools.partial(RatePenalty, warm_up=WARM_UP), start=math.nan),
    "disarm:penalty": _changed(surgery.bernoulli, RatePenalty, ExampleLosses, BernoulliGradient),
    "disarm": _beside(functools.partial(ad.BernoulliDropout, START), ExampleLosses, BernoulliGradient),
    "gaussian": _beside(lambda: ad.GaussianDropout(ad.LearnedRate(START))),
    "contextual": _beside(functools.partial(ad.ContextualDropout, WIDTH, START)),
    "standout": _changed(surgery.standout),
}
"""Learned rates by name. Sparse layers have no p to start from: ln sigma^2 of each weight starts at -10."""

PENALTIES: dict[str, tuple[type[L1Penalty] | type[L2Penalty], tuple[float, ...]]] = {
    "l1": (L1Penalty, (1e-5, 1e-4)),
    "l2": (L2Penalty, (1e-4, 1e-3)),
}
"""Norms by name, each with the strengths that the validation loss chooses from for each task and seed."""

BESIDE = ("fixed:0", "rewind:0.05")
"""What the norms are added to."""


def norm_method(norm: str, strength: float, base: str) -> str:
    """Return the name of ``base``, a method of the study, with a norm of the weights beside it."""
    return f"{base}+{norm}:{strength:g}"


def _with_norm(make: Callable[[], L.Callback], base: Method) -> Method:
    return replace(base, callbacks=lambda: [*base.callbacks(), make()])


NORMS: dict[str, Method] = {
    norm_method(norm, strength, base): _with_norm(functools.partial(kind, strength), METHODS[base])
    for norm, (kind, strengths) in PENALTIES.items()
    for strength in strengths
    for base in BESIDE
}
"""Norms of the weights with and without the default controller, by name."""
