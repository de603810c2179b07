"""What is compared: fixed rates of features and of edges, and one run of `AdaptiveDropout` that steers both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as L

from adaptive_dropout.callbacks import AdaptiveDropout
from benchmarks.graphs.task import DeepCitation
from benchmarks.study.study import Kinds

__all__ = ["METHODS", "Method"]


@dataclass(frozen=True)
class Method:
    """The rates, and whether they move.

    Args:
        p: of features, in [0, 1).
        edges: of edges, in [0, 1].
        moves: whether `AdaptiveDropout` is among the callbacks, which then starts by itself.
    """

    p: float
    edges: float
    moves: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.p < 1:
            raise ValueError(f"p has to be in [0, 1), but got {self.p}")
        if not 0 <= self.edges <= 1:
            raise ValueError(f"edges has to be in [0, 1], but got {self.edges}")

    def model(self, data: Any, task: DeepCitation) -> L.LightningModule:
        """Return what is trained."""
        return task.train(data, self.p, self.edges)

    def callbacks(self) -> Sequence[L.Callback]:
        """Return what a user adds to the trainer."""
        return [AdaptiveDropout()] if self.moves else []


def fixed(p: float = DeepCitation.p, edges: float = DeepCitation.edges) -> Method:
    """Fixed rates; the defaults are the published script's."""
    return Method(p, edges)


def steered() -> Method:
    """`AdaptiveDropout()`: the rate of the edges and those of the features, from .2 on."""
    return Method(0.0, 0.0, moves=True)


METHODS: Kinds = {kind.__name__: kind for kind in (fixed, steered)}
"""Every kind of method by its name."""
