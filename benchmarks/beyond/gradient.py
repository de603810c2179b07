"""A learner that follows a gradient: any module that returns the loss of each example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import adaptive_dropout as ad
from adaptive_dropout.signals import RunningLoss
from benchmarks.beyond.steering import Learner, Progress

__all__ = ["Examples", "Fitting", "GradientLearner"]

Examples = tuple[Tensor, ...]
"""The arguments of the module, with the examples along the first dimension of each tensor."""

_CLEAN = 300  # training examples that are measured with dropout off at each validation


@dataclass(frozen=True)
class Fitting:
    """How a module is trained, by Adam with a constant learning rate.

    Args:
        every: optimizer steps from one validation to the next.
        batch: examples in a step.
        lr: learning rate.
    """

    every: int = 20
    batch: int = 32
    lr: float = 1e-3


class GradientLearner(Learner):
    """Trains ``model``, which returns the loss of each example, (n,), and drops only in training mode.

    Args:
        model: with settable rates.
        parts: training, validation and test examples; the training examples in random order.
        trivial_loss: of the best constant prediction.
        fitting: how it is trained.
        seed: of the order of the examples.
    """

    def __init__(
        self, model: nn.Module, parts: Sequence[Examples], trivial_loss: float, fitting: Fitting, seed: int
    ) -> None:
        self.trivial_loss, self.every = trivial_loss, fitting.every
        self._model, self._batch = model, fitting.batch
        self._train, self._val, self._test = parts
        self._order = torch.Generator().manual_seed(seed)
        self._left = torch.empty(0, dtype=torch.int64)
        self._optimizer = torch.optim.Adam(model.parameters(), lr=fitting.lr, fused=True)
        self._best, self._first = (ad.Snapshot(model, self._optimizer) for _ in range(2))
        self._first.take()

    def rates(self) -> dict[str, float]:
        """Return each p by the name of its layer."""
        return ad.get_rates(self._model)

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Train on with these."""
        ad.set_rates(self._model, rates)

    def advance(self) -> Progress:
        """Train `every` steps, and measure the first 300 training examples and validation."""
        self._model.train()
        running = RunningLoss()
        for _ in range(self.every):
            rows = self._next()
            loss = self._model(*(column[rows] for column in self._train)).mean()
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            running.add(loss)
        train_loss = running.mean()
        assert train_loss is not None, "there was no step"
        return Progress(train_loss, self._losses([column[:_CLEAN] for column in self._train]), self._losses(self._val))

    def take(self) -> None:
        """Remember weights and moments."""
        self._best.take()

    def restore(self) -> None:
        """Write them back."""
        self._best.restore()

    def restart(self) -> None:
        """Write the initial weights back, with a fresh optimizer."""
        self._first.restore()

    def test_loss(self) -> float:
        """Return the mean loss on the test examples, with dropout off."""
        losses = self._losses(self._test)
        return sum(losses) / len(losses)

    @torch.no_grad()
    def _losses(self, examples: Sequence[Tensor]) -> list[float]:
        losses: list[float] = self._model.eval()(*examples).tolist()
        return losses

    def _next(self) -> Tensor:
        """Rows of the next batch, out of one endless sequence of shuffled passes."""
        while len(self._left) < self._batch:
            self._left = torch.cat((self._left, torch.randperm(len(self._train[0]), generator=self._order)))
        rows, self._left = self._left[: self._batch], self._left[self._batch :]
        return rows
