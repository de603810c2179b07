"""What is compared: one adaptive run, the published grid one rate at a time, none, and rates learned by gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightning.pytorch as L

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.networks import DropoutFactory
from benchmarks.study.study import Kinds

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """One way to choose the dropout rates.

    Args:
        dropout: makes a dropout layer.
        callbacks: makes the callbacks of one run.
    """

    dropout: DropoutFactory
    callbacks: Callable[[], Sequence[L.Callback]] = tuple

    def __post_init__(self) -> None:
        self.dropout()  # a p out of range is told before anything is trained


def none() -> Method:
    """The same network, its dropout at 0."""
    return fixed(0.0)


def fixed(p: float = 0.05) -> Method:
    """The same ``p`` before and after the hidden layer; the published grid is .005, .01, .05 and .1."""
    return Method(functools.partial(ad.Dropout, p))


def adaptive(p: float = 0.05) -> Method:
    """`RewindController`, the default of `AdaptiveDropout`, from ``p`` on."""
    return Method(functools.partial(ad.Dropout, p), lambda: [DropoutRateControl(ad.RewindController())])


METHODS: Kinds = {kind.__name__: kind for kind in (none, fixed, adaptive)}
"""Every kind of method by its name."""
