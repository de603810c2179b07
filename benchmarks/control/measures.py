"""What one run is judged by: its best weights, what it cost in gradient evaluations, and how often it rewound."""

from __future__ import annotations

import functools
import math
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.nn.modules.module import register_module_forward_hook

__all__ = ["BestWeights", "GradientCost", "Rewinds"]

COUNTED = "_counted_by_the_study"


class BestWeights(L.Callback):
    """Keeps a copy of the weights and buffers with the lowest validation loss in memory.

    It has to come before a callback that moves the weights at a validation.

    Attributes:
        val_loss: the lowest so far; infinite before the first.
        validations: how many there were.
    """

    def __init__(self) -> None:
        self.val_loss = math.inf
        self.validations = 0
        self._weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the weights if they are the best."""
        self.validations += 1
        val_loss = float(trainer.callback_metrics["val_loss"])
        if val_loss < self.val_loss:
            self.val_loss = val_loss
            self._weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}

    def restore(self, pl_module: L.LightningModule) -> None:
        """Put the best weights back; where no validation loss was finite, leave the last."""
        if self._weights:
            pl_module.load_state_dict(self._weights)


class GradientCost(L.Callback):
    """Counts the examples that go through ``pl_module.network`` and its copies in ``fit``, validation itself excepted.

    Forward and backward count 1, forward alone 1/3, because backward takes about two forwards. Differentiating the
    gradient once more takes about four: two for the matrix products of backward, two for those of forward.
    """

    def __init__(self) -> None:
        self._forwards = 0
        self._counts = True
        self._hook: Any = None

    @property
    def examples(self) -> float:
        """The count so far."""
        return self._forwards / 3

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count."""
        vars(pl_module.network)[COUNTED] = True  # copies have it too, but a hook of theirs would count elsewhere
        self._hook = register_module_forward_hook(self._count)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop counting."""
        self._hook.remove()
        vars(pl_module.network).pop(COUNTED)

    def on_validation_batch_start(self, *_: Any) -> None:
        """Leave out the batch that every method validates on."""
        self._counts = False

    def on_validation_batch_end(self, *_: Any) -> None:
        """Count again: what a rule measures besides is its own cost."""
        self._counts = True

    def _count(self, module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self._counts and COUNTED in vars(module):
            self._forwards += len(inputs[0])
            if output.requires_grad:
                output.register_hook(functools.partial(self._count_backward, len(inputs[0])))

    def _count_backward(self, examples: int, gradient: Tensor) -> None:
        self._forwards += 2 * examples
        if torch.is_grad_enabled():  # to be differentiated once more, which comes through here again
            self._forwards += 2 * examples


class Rewinds(L.Callback):
    """Counts the validations after which a controller asked for a rewind or restart; has to come after the control.

    Attributes:
        count: how many so far.
    """

    def __init__(self) -> None:
        self.count = 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at what every control has just decided."""
        states = (getattr(callback, "state", None) for callback in trainer.callbacks)  # type: ignore[attr-defined]
        self.count += sum(any(getattr(state, name, False) for name in ("rewind", "restart")) for state in states)
