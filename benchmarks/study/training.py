"""The trainer of a cell, and the callbacks that several benchmarks use."""

from __future__ import annotations

import functools
import math
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

import adaptive_dropout as ad
from adaptive_dropout.penalties import MeanLoss, concrete_penalty

__all__ = ["BestWeights", "ConcretePenalty", "GradientCost", "Rewinds", "fit", "quiet_trainer"]

COUNTED = "_counted_by_the_study"


def quiet_trainer(every: int, validations: int, callbacks: Sequence[L.Callback], **where: Any) -> L.Trainer:
    """Return a silent trainer of ``validations`` times ``every`` steps; ``where`` goes to Lightning's trainer."""
    return L.Trainer(
        devices=1,
        max_steps=every * validations,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=every * validations,
        **where,
    )


def fit(
    model: L.LightningModule,
    data: L.LightningDataModule,
    every: int,
    validations: int,
    callbacks: Sequence[L.Callback],
    accelerator: str = "cpu",
) -> tuple[L.Trainer, float]:
    """Train with a `quiet_trainer`; return it and the process time in seconds. Decisions of rules are not kept."""
    with tempfile.TemporaryDirectory() as scratch:
        trainer = quiet_trainer(every, validations, callbacks, accelerator=accelerator, default_root_dir=scratch)
        began = time.process_time()
        trainer.fit(model, data)
        return trainer, time.process_time() - began


class BestWeights(L.Callback):
    """Keeps a copy of the weights and buffers with the lowest validation loss in memory.

    It comes before any callback that moves the weights at a validation. A `Snapshot` is tied to one model; this can be
    stored, and restored into a copy of the model in another process.

    Attributes:
        val_loss: the lowest so far; infinite before the first.
        validations: their number so far.
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
        """Put the best weights back; if no validation loss was finite, leave the last weights."""
        if self._weights:
            pl_module.load_state_dict(self._weights)


class GradientCost(L.Callback):
    """Counts the examples that pass through ``pl_module.network`` and its copies in ``fit``, except in validation.

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
        vars(pl_module.network)[COUNTED] = (
            True  # copies carry this mark too; a copied hook would add to a copied counter
        )
        self._hook = register_module_forward_hook(self._count)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop counting."""
        self._hook.remove()
        vars(pl_module.network).pop(COUNTED)

    def on_validation_batch_start(self, *_: Any) -> None:
        """Stop counting: every method validates on this batch."""
        self._counts = False

    def on_validation_batch_end(self, *_: Any) -> None:
        """Count again: a rule's own measurements are part of its cost."""
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
    """Counts the validations after which a controller asked for a rewind or restart; it comes after the control.

    Attributes:
        count: their number so far.
    """

    def __init__(self) -> None:
        self.count = 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read what every control has just decided."""
        states = (getattr(callback, "state", None) for callback in trainer.callbacks)  # type: ignore[attr-defined]
        self.count += sum(any(getattr(state, name, False) for name in ("rewind", "restart")) for state in states)


class ConcretePenalty(L.Callback):
    """Adds the gradient of the concrete penalty to that of the loss; without it p would fall to 0.

    Each layer of concrete dropout is paired with the dense or convolutional layer that follows it in the order of
    ``modules()``. The loss is the mean negative log-likelihood of the training examples.

    Args:
        length: the prior length scale l, above 0; 1e-4 as published.
    """

    def __init__(self, length: float = 1e-4) -> None:
        self.length = length

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Back-propagate the penalty by itself; the two gradients add up."""
        assert trainer.train_dataloader is not None
        self.penalty(pl_module, len(trainer.train_dataloader.dataset)).backward()  # type: ignore[no-untyped-call]

    def penalty(self, model: nn.Module, n: int) -> Tensor:
        """Return the penalty for ``n`` training examples, 0-dim."""
        total, p = torch.zeros(()), None
        for module in model.modules():
            if isinstance(module, ad.ConcreteDropout):
                p = module.rate.value
            elif p is not None and isinstance(module, (nn.Linear, nn.Conv2d)):
                units = module.weight.shape[1]
                total = total + concrete_penalty(module.weight, p, units, self.length, MeanLoss("nll", n))
                p = None
        return total
