"""Gradients measured between two decisions: when, on which examples, at what cost, and their mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.data import extract_batch_size
from torch import Tensor
from torch.utils._pytree import tree_map

from adaptive_dropout.callbacks.trainer import batches_between_validations
from adaptive_dropout.layouts import rows
from adaptive_dropout.nested import new_copy

__all__ = ["Budget", "Window", "cut"]

LOST = "until the next validation, gradients are measured on examples of training in place of validation"
LEAST = 8  # examples: fewer tell nothing, and BatchNorm needs some


class Budget(NamedTuple):
    """What measuring may cost.

    Args:
        every: training batches from one measurement to the next, or a few less.
        share: of the run's gradient evaluations.
        cost: gradient evaluations for each example of a measurement.
    """

    every: int
    share: float
    cost: float


class Window:
    """Chooses when to measure and on which examples, and keeps the mean of the measurements of this window.

    The first batch of a window is always measured on. Validation examples come from the last validation, from another
    part of it each time; before the first validation they come from the training batch, which the network has not been
    trained on yet.

    ``lost`` says what a resumed run does otherwise than the unbroken one until the next validation, "" if nothing.

    Args:
        budget: how often and on how many examples.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._pieces: list[Any] = []
        self.lost = ""
        self._validations = 0
        self._examples = 0
        self._turns = 1
        self._measured = self._lacks = False
        self.reset()

    def reset(self) -> None:
        """Begin the next window."""
        self._batches = self._taken = 0
        self._sums: dict[str, float] = {}
        self._count = 0

    def measure(self, trainer: L.Trainer, batch: Any, gradients: Callable[[Any, Any], dict[str, float]]) -> None:
        """Add ``gradients(train, val)`` of two pieces, if it is time to measure; called once before every ``batch``.

        The first measurement of a run comes before anything is trained, and may raise. After a later one that fails
        there is a warning, and no other is tried.

        Raises:
            Exception: by the first measurement, whatever the user's code raises.
        """
        if self._lacks:
            return
        try:
            pieces = self._choose(trainer, batch)
            if pieces is not None:
                self.add(gradients(*pieces))
        except Exception as error:
            if not self._measured:
                raise
            self._lacks = True
            rank_zero_warn(
                f"no gradient by the rates is measured any more ({error}); without one this rule leaves them"
            )
        self._measured = True

    def _choose(self, trainer: L.Trainer, batch: Any) -> tuple[Any, Any] | None:
        """Return pieces to train and to validate on; None where it is not time to measure."""
        interval = batches_between_validations(trainer)
        self._turns = math.ceil(interval / self.budget.every)
        stride = math.ceil(interval / self._turns)
        number, left = divmod(self._batches, stride)
        self._batches += 1
        if left:
            return None
        self._taken += 1
        size = extract_batch_size(batch)
        affordable = int(self.budget.share * size * stride / self.budget.cost)
        self._examples = min(size, max(LEAST, affordable))
        if self._pieces:
            return cut(batch, size, 0, self._examples), self._pieces[number % len(self._pieces)]
        half = max(1, min(self._examples, size // 2))
        return cut(batch, size, 0, half), cut(batch, size, size - half, size)

    def keep(self, trainer: L.Trainer, batch: Any, batch_idx: int) -> None:
        """Keep a piece of a validation ``batch``, if the next window is to be measured on it."""
        if self._lacks:
            return
        if batch_idx == 0:
            self._pieces, self.lost = [], ""
            self._validations += 1
        # Too many to count, or an endless stream: its first batches.
        batches = int(min(trainer.num_val_batches[0], 10**6))
        first = self._validations * self._turns
        for number in range(first, first + min(self._turns, batches)):
            if number % batches == batch_idx:
                size = extract_batch_size(batch)
                start = number // batches * self._examples % max(1, size - self._examples + 1)
                self._pieces.append(cut(batch, size, start, start + self._examples))

    def add(self, measured: dict[str, float]) -> None:
        """Add a measurement; one that is not finite says nothing and is left out."""
        if all(map(math.isfinite, measured.values())):
            self._sums = {name: self._sums.get(name, 0.0) + value for name, value in measured.items()}
            self._count += 1

    def mean(self, kind: str, names: list[str]) -> dict[str, float]:
        """Return ``{"<kind>/<name>": mean}``; 0 where nothing finite was measured."""
        return {f"{kind}/{name}": self._sums.get(name, 0.0) / max(1, self._count) for name in names}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know: numbers, no examples."""
        return {
            "validations": self._validations, "examples": self._examples, "turns": self._turns,
            "batches": self._batches, "sums": self._sums, "count": self._count,
            "taken": self._taken,
            "lacks_examples": bool(self.lost) or (bool(self._pieces) and self._taken < self._turns),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken; until the next validation, validation examples are of training."""
        self._validations = state["validations"]
        self._examples, self._turns, self._batches = state["examples"], state["turns"], state["batches"]
        self._sums, self._count = state["sums"], state["count"]
        self._taken, self.lost = state.get("taken", 0), LOST if state.get("lacks_examples") else ""


def cut(batch: Any, size: int, start: int, end: int) -> Any:
    """Return a copy of the examples from ``start`` to ``end`` of a ``batch`` of ``size``.

    Every tensor in it of that length is cut; everything else belongs to all examples. The copies may be trained on,
    even those of a batch that was loaded in inference mode.
    """

    def piece(leaf: Any) -> Any:
        if isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == size:
            return new_copy(rows(leaf, start, end), leaf.device)
        return leaf

    return tree_map(piece, batch)
