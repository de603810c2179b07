"""What is compared: the published rate, no dropout, and one run of the default callback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightning.pytorch as L

from adaptive_dropout.callbacks import AdaptiveDropout
from benchmarks.study.study import Kinds

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """The rate that the layers are built with, and whether it moves.

    Args:
        p: in [0, 1); None is the published rate of the task.
        moves: whether `AdaptiveDropout` is among the callbacks.
    """

    p: float | None
    moves: bool

    def __post_init__(self) -> None:
        if self.p is not None and not 0 <= self.p < 1:
            raise ValueError(f"p has to be in [0, 1), but got {self.p}")

    def callbacks(self) -> Sequence[L.Callback]:
        """Return what a user adds to the trainer."""
        return [AdaptiveDropout()] if self.moves else []


def none() -> Method:
    """Dropout layers at 0."""
    return Method(0.0, moves=False)


def published() -> Method:
    """The published rate, trained by us."""
    return Method(None, moves=False)


def adaptive() -> Method:
    """`AdaptiveDropout()`, from the published rate on."""
    return Method(None, moves=True)


def adaptive_from(p: float = 0.1) -> Method:
    """`AdaptiveDropout()`, from ``p`` on."""
    return Method(p, moves=True)


METHODS: Kinds = {kind.__name__: kind for kind in (none, published, adaptive, adaptive_from)}
"""Every kind of method by its name."""
