"""Measures the clean loss in a run of transformers' Trainer: its own evaluation step on a part of the training data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import Trainer

from adaptive_dropout.callbacks.meters.probe import MOST, PARTS, SHARE
from adaptive_dropout.controllers import State
from adaptive_dropout.signals import CleanLoss
from adaptive_dropout.signals.aside import evaluating

__all__ = ["TrainerProbe"]


class TrainerProbe:
    """The signals of `CleanLoss` and ``trivial_loss``, the loss before any training.

    The fixed part of the training data is spread evenly over it, in eight pieces, which the loader's own function makes
    batches of; noise in that, as masked words are, is drawn once.

    Args:
        trainer: of the run.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._clean = CleanLoss()
        self._trivial_loss: float | None = None
        self._parts: list[Any] = []

    def start(self, loader: Any, between: int) -> None:
        """Choose the data, and measure the loss before all where no checkpoint has it.

        Args:
            loader: of the training data.
            between: examples from one decision to the next.

        Raises:
            ValueError: the data cannot be indexed, or is of fewer than two examples.
        """
        data = loader.dataset
        if not hasattr(data, "__getitem__") or len(data) < 2:
            raise ValueError(
                f"the clean loss needs two training examples with an index, but got {type(data).__name__}; "
                "give a rule that does not need it, such as PlateauController()"
            )
        parts = min(PARTS, len(data))
        each = max(1, min(round(min(MOST, SHARE * between) / parts), len(data) // parts))
        chosen = [number * len(data) // (parts * each) for number in range(parts * each)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same words masked after a restart
            pieces = (chosen[start : start + each] for start in range(0, len(chosen), each))
            self._parts = [loader.collate_fn([data[index] for index in piece]) for piece in pieces]
        if self._trivial_loss is None:
            losses = self._losses()
            self._trivial_loss = sum(losses) / len(losses)

    def signals(self, val_loss: float) -> dict[str, float]:
        """Return the signals, measured now."""
        assert self._trivial_loss is not None
        return {**self._clean.signals(self._losses(), [val_loss]), "trivial_loss": self._trivial_loss}

    def decided(self, state: State) -> None:
        """Compare with the clean losses of the best evaluation."""
        if state.improved:
            self._clean.mark()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know, in JSON types."""
        return {"clean": self._clean.state_dict(), "trivial_loss": self._trivial_loss}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._clean.load_state_dict(state["clean"])
        self._trivial_loss = state["trivial_loss"]

    def _losses(self) -> list[float]:
        model: Any = self._trainer.model
        with evaluating(model):
            found = [self._trainer.prediction_step(model, part, prediction_loss_only=True)[0] for part in self._parts]
        losses = [float(loss) for loss in found if loss is not None]
        if len(losses) < len(found):
            raise ValueError("the model returns no loss for its training data; give it labels")
        return losses
