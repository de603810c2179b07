"""A learner, which has a rate and can go back, and the loop that steers it: measure, decide, apply, test the best."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import adaptive_dropout as ad
from adaptive_dropout.signals import CleanLoss

__all__ = ["VALIDATIONS", "Found", "Learner", "Progress", "steer"]


@dataclass(frozen=True)
class Progress:
    """The losses of training up to a validation.

    Args:
        train_loss: the mean training loss since the last validation, with dropout on.
        clean_losses: of each example of a fixed part of the training data, with dropout off.
        val_losses: of each validation example, with dropout off.
    """

    train_loss: float
    clean_losses: list[float]
    val_losses: list[float]


class Learner(ABC):
    """A model in training. Losses are positive, in nats or squared standard deviations.

    Attributes:
        trivial_loss: of the best constant prediction.
        every: steps from one validation to the next.
    """

    trivial_loss: float
    every: int

    @abstractmethod
    def rates(self) -> dict[str, float]:
        """Return each p by the name of its rate."""

    @abstractmethod
    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Train on with these."""

    @abstractmethod
    def advance(self) -> Progress:
        """Train `every` steps and validate."""

    @abstractmethod
    def take(self) -> None:
        """Remember the model as it is now."""

    @abstractmethod
    def restore(self) -> None:
        """Go back to the model that was taken last; the rates and the order of the data continue."""

    @abstractmethod
    def restart(self) -> None:
        """Go back to the beginning; the rates and the order of the data continue."""

    @abstractmethod
    def test_loss(self) -> float:
        """Return the mean loss on the test examples, with dropout off."""


VALIDATIONS = 50
"""How often a run validates."""


@dataclass(frozen=True)
class Found:
    """The result of a run.

    Args:
        val_loss: the lowest validation loss.
        test_loss: the test loss of the model that had it.
        final_rate: the last p, the mean of several.
        rewinds: how often it went back to its best, or to its beginning.
    """

    val_loss: float
    test_loss: float
    final_rate: float
    rewinds: int


def steer(learner: Learner, controller: ad.Controller, validations: int = VALIDATIONS) -> Found:
    """Train ``learner`` while ``controller`` moves its rates, and test it where validation was best.

    Raises:
        ValueError: no validation loss was finite.
    """
    state, clean, best, rewinds = controller.init(learner.rates()), CleanLoss(), math.inf, 0
    for number in range(1, validations + 1):
        progress = learner.advance()
        val_loss = sum(progress.val_losses) / len(progress.val_losses)
        signals = clean.signals(progress.clean_losses, progress.val_losses) | {
            "train_loss": progress.train_loss,
            "val_loss": val_loss,
            "trivial_loss": learner.trivial_loss,
            "step": number * learner.every,
            "total_steps": validations * learner.every,
        }
        state = controller.update(state, signals)
        rewinds += state.rewind or state.restart
        if val_loss < best:
            best = val_loss
            learner.take()
            clean.mark()
        if state.rewind:
            learner.restore()
        elif state.restart:
            learner.restart()
        learner.set_rates(state.rates)
    if not math.isfinite(best):
        raise ValueError(f"no validation loss was finite; the last was {val_loss}")
    final = state.rates.values()
    learner.restore()
    return Found(best, learner.test_loss(), sum(final) / len(final), rewinds)
