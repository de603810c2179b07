"""`Method`: one way to regularise a run; `Run`: a training run with its records; and the three common methods."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightning.pytorch as L
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.networks import DropoutFactory
from adaptive_dropout.signals import RunningLoss
from adaptive_dropout.tasks import Task
from benchmarks.study.training import BestWeights

__all__ = ["Curves", "Method", "Run", "adaptive", "none", "standard", "train_run"]


class Curves(L.Callback):
    """Records the losses at each validation of ``fit``.

    Attributes:
        train_losses: the mean since the previous validation, with dropout on.
        val_losses: with dropout off.
        val_accuracies: in [0, 1].
    """

    def __init__(self) -> None:
        self.train_losses: list[float] = []
        self.val_losses: list[float] = []
        self.val_accuracies: list[float] = []
        self._running = RunningLoss()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the loss of a batch."""
        self._running.add(outputs["loss"])

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add a point to each curve."""
        if trainer.state.fn != "fit":
            return
        train_loss = self._running.mean()
        assert train_loss is not None  # a validation follows at least one batch
        self.train_losses.append(train_loss)
        self.val_losses.append(float(trainer.callback_metrics["val_loss"]))
        self.val_accuracies.append(float(trainer.callback_metrics["val_accuracy"]))
        self._running.reset()


@dataclass(frozen=True)
class Run:
    """A training run that has been set up, or has ended.

    Args:
        model: the task that is trained.
        data: its data module, which has been set up.
        best: keeps the weights with the lowest validation loss.
        curves: records the losses.
        every: optimizer steps from one validation to the next.
        validations: their number.
        accelerator: "cpu" or "gpu".
        seconds: process time of the training.
    """

    model: Task
    data: Any
    best: BestWeights
    curves: Curves
    every: int
    validations: int
    accelerator: str
    seconds: float = 0.0


def train_run(run: Run, trainer: L.Trainer) -> Run:
    """Train ``run`` from beginning to end with ``trainer``, which holds its ``best`` and ``curves``; return its end."""
    began = time.process_time()
    trainer.fit(run.model, run.data)
    return replace(run, seconds=time.process_time() - began)


def _leave(network: nn.Module) -> nn.Module:
    return network


@dataclass(frozen=True)
class Method:
    """One way to regularise, or none.

    Args:
        dropout: makes a dropout layer; it is called once here, so that a p out of range raises at once.
        callbacks: makes the callbacks of one run.
        change: changes the new network of one run, and returns it.
        train_loss: the training loss of logits (batch, classes) and labels (batch,); evaluation is always by NLL.
        fit: trains a run that has been set up, with its trainer, and returns the run at its end.
    """

    dropout: DropoutFactory
    callbacks: Callable[[], Sequence[L.Callback]] = tuple
    change: Callable[[nn.Module], nn.Module] = _leave
    train_loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    fit: Callable[[Run, L.Trainer], Run] = train_run

    def __post_init__(self) -> None:
        self.dropout()


def none() -> Method:
    """The same network, its dropout at 0."""
    return Method(functools.partial(ad.Dropout, 0.0))


def standard(p: float = 0.3) -> Method:
    """Bernoulli masks with a fixed ``p``: Srivastava et al. (2014)."""
    return Method(functools.partial(ad.Dropout, p))


def adaptive(p: float = 0.3) -> Method:
    """`RewindController`, the default of `AdaptiveDropout` in 0.1, from ``p`` on."""
    return Method(functools.partial(ad.Dropout, p), lambda: [DropoutRateControl(ad.RewindController())])
