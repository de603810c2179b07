"""Measures the clean loss in a run of transformers' Trainer: its own evaluation step on a part of the training data."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

from transformers import Trainer

from adaptive_dropout.callbacks.isolated.copying import copy_module
from adaptive_dropout.callbacks.isolated.guard import fixed_seed, without_side_effects
from adaptive_dropout.contexts import eager
from adaptive_dropout.controllers import State
from adaptive_dropout.layouts import deep_copy
from adaptive_dropout.signals import CleanLoss
from adaptive_dropout.transfer import read_numbers

__all__ = ["TrainerCleanLoss"]

PARTS = 8
SHARE = 0.2  # of the examples between two evaluations: forward only, that is 7 % of the run's gradient evaluations
MOST = 300  # examples


class TrainerCleanLoss:
    """The signals of `CleanLoss` and ``trivial_loss``, the loss before any training.

    The fixed part of the training data is spread evenly over it, in eight pieces, which the loader's collator turns
    into batches; its noise, such as masked words, is drawn once. It is measured on a copy of the model by a copy of
    the Trainer that logs nothing and calls no callback. Where it cannot be measured, that is said once.

    Args:
        trainer: of the run.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._clean = CleanLoss()
        self._trivial_loss: float | None = None
        self._parts: list[Any] = []

    def start(self, loader: Any, between: int) -> None:
        """Choose the data, and measure the loss before any training where no checkpoint has it.

        Args:
            loader: of the training data.
            between: examples from one decision to the next.
        """
        try:
            with fixed_seed():  # the same words masked after a restart
                self._parts = _parts(loader, between)
            if self._trivial_loss is None:
                losses = self._losses()
                self._trivial_loss = sum(losses) / len(losses)
        except Exception as error:  # the user's own code runs in there
            self._give_up(error)

    def signals(self, val_loss: float) -> dict[str, float]:
        """Return the signals, measured now; none where they cannot be."""
        if not self._parts:
            return {}
        try:
            signals = self._clean.signals(self._losses(), [val_loss])
        except Exception as error:  # the user's own code runs in there
            self._give_up(error)
            return {}
        return signals if self._trivial_loss is None else {**signals, "trivial_loss": self._trivial_loss}

    def on_decision(self, state: State) -> None:
        """Compare with the clean losses of the best evaluation."""
        if state.improved:
            self._clean.mark()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know, in JSON types; no examples."""
        return {"clean": self._clean.state_dict(), "trivial_loss": self._trivial_loss}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self._clean.load_state_dict(state["clean"])
        self._trivial_loss = state["trivial_loss"]

    def _losses(self) -> list[float]:
        ours: Any = copy.copy(self._trainer)
        trained: Any = self._trainer.model
        model = copy_module(trained, {id(self._trainer): ours}).eval()
        ours.model = ours.model_wrapped = model
        ours.state, ours.control = copy.copy(ours.state), copy.copy(ours.control)
        ours.callback_handler = copy.copy(ours.callback_handler)
        ours.callback_handler.callbacks = []
        ours.log = _nothing
        with fixed_seed(), without_side_effects(), eager():
            found = [ours.prediction_step(model, deep_copy(p), prediction_loss_only=True)[0] for p in self._parts]
        losses = read_numbers([loss for loss in found if loss is not None])
        if len(losses) < len(found):
            raise ValueError("the model returns no loss for its training data; give it labels")
        return losses

    def _give_up(self, error: Exception) -> None:
        self._parts = []
        warnings.warn(
            f"the loss of training data cannot be measured ({error}); the rates are steered by the training loss with "
            "dropout on and the validation loss",
            stacklevel=2,
        )


def _parts(loader: Any, between: int) -> list[Any]:
    data = loader.dataset
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise TypeError(f"{type(data).__name__} has no index")
    parts = min(PARTS, len(data))
    each = max(1, min(round(min(MOST, SHARE * between) / parts), len(data) // parts))
    chosen = [number * len(data) // (parts * each) for number in range(parts * each)]
    pieces = (chosen[start : start + each] for start in range(0, len(chosen), each))
    return [loader.collate_fn([data[index] for index in piece]) for piece in pieces]


def _nothing(*_: Any, **__: Any) -> None: ...
