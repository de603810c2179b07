"""The methods that are compared: one adaptive run, the published grid one rate at a time, none, and learned rates."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as L
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.networks import MLP
from benchmarks.study.command import Experiment
from benchmarks.study.study import Kinds
from benchmarks.uci.cells import UciRow, run
from benchmarks.uci.table import write_page
from benchmarks.uci.tasks import TASKS

__all__ = ["METHODS", "UCI", "Method"]


@dataclass(frozen=True)
class Method:
    """One way to choose the dropout rates.

    Args:
        network: makes a network, (batch, features) -> (batch, 1), from the numbers of features and of hidden units,
            with dropout before and after the hidden layer.
        callbacks: makes the callbacks of one run.
    """

    network: Callable[[int, int], nn.Module]
    callbacks: Callable[[], Sequence[L.Callback]] = tuple

    def __post_init__(self) -> None:
        self.network(1, 1)  # raises if a p is out of range, before anything is trained


def none() -> Method:
    """The same network, its dropout at 0."""
    return fixed(0.0)


def fixed(p: float = 0.05) -> Method:
    """The same ``p`` before and after the hidden layer; the published grid is .005, .01, .05 and .1."""
    return Method(functools.partial(_with_dropout, p))


def adaptive(p: float = 0.05) -> Method:
    """`RewindController`, the default of `AdaptiveDropout` in 0.1, from ``p`` on."""
    return Method(functools.partial(_with_dropout, p), lambda: [DropoutRateControl(ad.RewindController())])


def concrete(p: float = 0.1, length_scale: float = 1e-4) -> Method:
    """Soft masks with a ``p`` each, learned under a prior: Gal, Hron and Kendall (2017)."""
    return Method(functools.partial(_with_concrete, p, length_scale))


def _with_dropout(p: float, features: int, hidden: int) -> nn.Module:
    dropout = functools.partial(ad.Dropout, p)
    return nn.Sequential(OrderedDict(dropout0=dropout(), mlp=MLP(features, 1, (hidden,), dropout)))


def _with_concrete(p: float, length_scale: float, features: int, hidden: int) -> nn.Module:
    wrap = functools.partial(ad.ConcreteDropout.wrap, p=p, length_scale=length_scale)
    return nn.Sequential(wrap(nn.Linear(features, hidden)), nn.ReLU(), wrap(nn.Linear(hidden, 1)))


METHODS: Kinds = {kind.__name__: kind for kind in (none, fixed, adaptive, concrete)}
"""Every kind of method by its name."""

UCI = Experiment(Path(__file__).parent, TASKS, METHODS, UciRow, run, write_page)
"""The question and its studies."""
