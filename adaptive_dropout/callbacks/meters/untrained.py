"""The network before any training: what it lost is what later losses are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as L
from torch import Tensor

from adaptive_dropout.callbacks.isolated import IsolatedValidation

__all__ = ["Untrained"]


class Untrained:
    """A copy of the network before its first step, until the first decision measures it.

    A checkpoint that is written before then holds its weights.

    Attributes:
        losses: of the measured batches of training data; None before they are measured, or where they cannot be.
    """

    def __init__(self) -> None:
        self.losses: list[float] | None = None
        self._copy: IsolatedValidation | None = None
        self._loaded: dict[str, Any] | None = None
        self._first: float | Tensor | None = None

    @property
    def copy(self) -> IsolatedValidation | None:
        """The copy; None before `keep` and after `forget`."""
        return self._copy

    @property
    def loaded(self) -> bool:
        """Whether the weights of a checkpoint wait to be kept."""
        return self._loaded is not None

    @property
    def first(self) -> float | None:
        """The loss of the first training step, dropout on, read from the device once; None if there was none."""
        if self._first is not None:
            self._first = float(self._first)
        return self._first

    def keep(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the network, or what a checkpoint held of it, if that is not done and still needed."""
        if self.losses is None and self._copy is None:
            loaded, self._loaded = self._loaded, None
            self._copy = IsolatedValidation(trainer, pl_module, loaded)

    def forget(self) -> None:
        """Drop the copy."""
        if self._copy is not None:
            self._copy.free()
        self._copy = None

    def keep_first(self, read_loss: Callable[[], float | Tensor | None]) -> None:
        """Keep the loss of the first training step that has one, on its device."""
        if self._first is None and self.losses is None:
            self._first = read_loss()

    def state_dict(self) -> dict[str, Any]:
        """Return numbers, and before the first decision the weights."""
        weights = self._loaded if self._copy is None else self._copy.weights()
        return {"trivial": self.losses, "first_train": self.first, "untrained": weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.losses, self._first = state["trivial"], state["first_train"]
        self._loaded = state.get("untrained")  # an earlier version kept no weights
