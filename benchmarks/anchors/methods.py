"""What is compared: the published rate, no dropout, one run of the default callback, and of one that only rewinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightning.pytorch as L

from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.controllers import Controller, RewindController
from benchmarks.study.study import Kinds

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """The rate that the layers are built with, and whether it moves.

    Args:
        p: in [0, 1); None is the published rate of the task.
        moves: whether `AdaptiveDropout` is among the callbacks.
        rule: its controller; None is the default.
    """

    p: float | None
    moves: bool
    rule: Controller | None = None

    def __post_init__(self) -> None:
        if self.p is not None and not 0 <= self.p < 1:
            raise ValueError(f"p has to be in [0, 1), but got {self.p}")

    def callbacks(self) -> Sequence[L.Callback]:
        """Return what a user adds to the trainer."""
        return [AdaptiveDropout(self.rule)] if self.moves else []


def none() -> Method:
    """Dropout layers at 0."""
    return Method(0.0, moves=False)


def published() -> Method:
    """The published rate, trained by us."""
    return Method(None, moves=False)


def fixed(p: float = 0.1) -> Method:
    """Another rate than the published one."""
    return Method(p, moves=False)


def default() -> Method:
    """`AdaptiveDropout()`, which starts by itself."""
    return Method(None, moves=True)


def adaptive() -> Method:
    """`RewindController`, the default before, from the published rate on."""
    return Method(None, moves=True, rule=RewindController())


def adaptive_from(p: float = 0.1) -> Method:
    """`RewindController` from ``p`` on."""
    return Method(p, moves=True, rule=RewindController())


METHODS: Kinds = {kind.__name__: kind for kind in (none, published, fixed, default, adaptive, adaptive_from)}
"""Every kind of method by its name."""
