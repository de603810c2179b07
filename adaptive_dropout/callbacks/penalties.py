"""Regularisers beside any dropout, in any run: penalties on learned rates and weights, and weights within a ball."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sized
from typing import Any, ClassVar

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from adaptive_dropout.callbacks.checks import SHARDED, check_has_end, warn_of_decay
from adaptive_dropout.callbacks.packages import Callback
from adaptive_dropout.callbacks.trainer import known_steps, steps_done
from adaptive_dropout.checks import check_count
from adaptive_dropout.penalties import l1, l2, max_norm_, penalty
from adaptive_dropout.schedules import Schedule

__all__ = ["L1Penalty", "L2Penalty", "MaxNorm", "PenaltyCallback", "RatePenalty"]


class PenaltyCallback(Callback, ABC):
    """Adds the gradient of a penalty to that of the loss, just before the optimizer steps, in any LightningModule.

    Gradients are complete then: accumulated, averaged over processes, and unscaled again in float16; clipping comes
    afterwards. Each optimizer gets the gradients of its own parameters. The loss that is logged stays that of the data.

    Raises:
        ValueError: at the set-up: the model is sharded, so that no process has whole weights.
    """

    metric: ClassVar[str]
    """The name under which the penalty is logged."""

    @abstractmethod
    def penalty(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Tensor:
        """Return what to add to the loss, 0-dim, with gradient."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse sharded models."""
        if isinstance(trainer.strategy, SHARDED):
            raise ValueError(
                f"{type(self).__name__} needs whole weights, but {type(trainer.strategy).__name__} shards them; "
                "use strategy='ddp' or a single device"
            )

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer) -> None:
        """Add the gradient and log the penalty."""
        with torch.enable_grad():
            penalty = self.penalty(trainer, pl_module)
            scaled = _scale(penalty, trainer, optimizer)
        pl_module.log(self.metric, penalty.detach(), on_step=True, on_epoch=False, batch_size=1)
        own = [w for group in optimizer.param_groups for w in group["params"] if w.requires_grad]
        gradients = torch.autograd.grad(scaled, own, allow_unused=True)
        for weight, gradient in zip(own, gradients, strict=True):
            if gradient is None:
                continue
            if weight.grad is None:
                weight.grad = gradient.clone()
            else:
                weight.grad.add_(gradient)


class RatePenalty(PenaltyCallback):
    """Keeps learned rates from falling to 0: adds `adaptive_dropout.penalty` to a mean negative log-likelihood.

    Logs ``penalty`` as it is added, in nats per example; with the training loss it makes the negative evidence lower
    bound. Warns of an optimizer whose weight decay acts on learned rates.

    >>> from adaptive_dropout import LinearSchedule
    >>> callbacks = [RatePenalty(warm_up=LinearSchedule(0.0, 1.0, steps=0.3))]

    Args:
        n: examples in the training set, or what the loss is the mean over; by default the length of the training
            loader's dataset. Give it where a sampler or augmentation makes that another number.
        warm_up: the factor of the penalty, in [0, 1], at each optimizer step; by default 1. A fraction is of the run.

    Raises:
        TypeError: ``n`` is not an integer, or ``warm_up`` is not a schedule.
        ValueError: ``n`` is less than 1. When training starts: the model has nothing to penalise, the dataset has no
            length, or ``warm_up`` is a fraction of a run without an end.

    Source: Kingma et al. (2015), equation 2; for the warm-up Molchanov et al. (2017), section 4.2.
    """

    metric: ClassVar[str] = "penalty"

    def __init__(self, n: int | None = None, warm_up: Schedule | None = None) -> None:
        if n is not None:
            check_count(n, "n")
        if not (warm_up is None or isinstance(warm_up, Schedule)):
            raise TypeError(f"warm_up has to be a schedule, such as LinearSchedule(0.0, 1.0), but got {warm_up!r}")
        self.n = n
        self.warm_up = warm_up

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find n and the length of the run, and raise or warn of what would go wrong."""
        self._examples = _count_examples(trainer) if self.n is None else self.n
        self._steps = known_steps(trainer)
        if self.warm_up is not None:
            check_has_end(trainer, self.warm_up, "warm_up")
        penalty(pl_module, self._examples)
        warn_of_decay(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Update the run's length: steps per batch show only as batches are done."""
        if not pl_module.automatic_optimization:
            self._steps = known_steps(trainer)

    def penalty(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Tensor:
        """Return the penalty of this step."""
        total = penalty(pl_module, self._examples)
        if self.warm_up is None:
            return total
        warm_up = self.warm_up if self._steps is None else self.warm_up.over(self._steps)
        return warm_up(steps_done(trainer)) * total


class _NormPenalty(PenaltyCallback):
    """``strength`` times a norm of the weights."""

    norm: ClassVar[Callable[[nn.Module], Tensor]]

    def __init__(self, strength: float) -> None:
        if not 0 < strength < math.inf:
            raise ValueError(f"strength has to be above 0 and finite, but got {strength}")
        self.strength = strength

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise where there is nothing to penalise."""
        self.penalty(trainer, pl_module)

    def penalty(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Tensor:
        """Return ``strength`` times the norm."""
        return self.strength * type(self).norm(pl_module)


class L1Penalty(_NormPenalty):
    """Adds the gradient of ``strength`` times the sum of absolute weights to that of the loss; logs ``l1_penalty``.

    Biases, normalisation and learned rates are left alone, as in `adaptive_dropout.l1`. It may stand beside
    `L2Penalty` (the elastic net), `RatePenalty` and any dropout.

    Args:
        strength: above 0, in units of the loss.

    Raises:
        ValueError: ``strength`` is not above 0, or infinite; when training starts: the model has no weights.
    """

    metric: ClassVar[str] = "l1_penalty"
    norm: ClassVar[Callable[[nn.Module], Tensor]] = staticmethod(l1)


class L2Penalty(_NormPenalty):
    """Adds the gradient of ``strength`` times the sum of squared weights to that of the loss; logs ``l2_penalty``.

    With plain gradient descent that is a weight decay of ``2 * strength`` on the weights alone. Adaptive optimizers
    divide it as they do all gradients, unlike the weight decay of AdamW. Biases, normalisation and learned rates are
    left alone, as in `adaptive_dropout.l1`.

    Args:
        strength: above 0, in units of the loss.

    Raises:
        ValueError: ``strength`` is not above 0, or infinite; when training starts: the model has no weights.
    """

    metric: ClassVar[str] = "l2_penalty"
    norm: ClassVar[Callable[[nn.Module], Tensor]] = staticmethod(l2)


class MaxNorm(Callback):
    """Keeps the 2-norm of the weights into each unit or channel at ``norm`` or below, after every training batch.

    Dropout's usual companion: weights that cannot grow allow a high learning rate.
    `adaptive_dropout.penalties.max_norm_` says which weights, and why.

    Args:
        norm: above 0; 2 to 4 are usual in dense layers.

    Raises:
        ValueError: ``norm`` is not above 0; when training starts: the model has no weights to constrain.

    Source: Srivastava et al. (2014), section 5.1.
    """

    def __init__(self, norm: float = 3.0) -> None:
        if not norm > 0:
            raise ValueError(f"norm has to be above 0, but got {norm}")
        self.norm = norm

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Constrain the initial weights."""
        max_norm_(pl_module, self.norm)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Constrain the weights of this step."""
        max_norm_(pl_module, self.norm)


def _count_examples(trainer: L.Trainer) -> int:
    dataset = getattr(trainer.train_dataloader, "dataset", None)
    try:
        return check_count(len(dataset) if isinstance(dataset, Sized) else None, "n")
    except (TypeError, ValueError):
        found = type(trainer.train_dataloader if dataset is None else dataset).__name__
        raise ValueError(
            f"the training data, {found}, does not say how many examples it has; give RatePenalty(n=...)"
        ) from None


def _scale(penalty: Tensor, trainer: L.Trainer, optimizer: Optimizer) -> Tensor:
    """Multiply ``penalty`` by what the gradients are still multiplied by, without waiting for the device.

    Fused optimizers divide by the scale of float16 themselves; for others that is done by now.
    """
    scaler: torch.amp.GradScaler | None = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is None or not getattr(optimizer, "_step_supports_amp_scaling", False):
        return penalty
    return scaler.scale(penalty)
