"""What can be steered: it has rates, trains up to the next validation, and can go back to where it was best."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Learner", "Progress"]


@dataclass(frozen=True)
class Progress:
    """What training up to a validation gave.

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
        """Go back to what was taken last; the rates and the order of the data go on."""

    @abstractmethod
    def restart(self) -> None:
        """Go back to the beginning; the rates and the order of the data go on."""

    @abstractmethod
    def test_loss(self) -> float:
        """Return the mean loss on the test examples, with dropout off."""
