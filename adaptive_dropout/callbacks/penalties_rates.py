"""`RatePenalty`: what keeps learned rates from falling to 0, in any run."""

from __future__ import annotations

import math
from collections.abc import Sized
from typing import ClassVar

import lightning.pytorch as L
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from adaptive_dropout.callbacks.penalties_base import PenaltyCallback
from adaptive_dropout.callbacks.run_length import known_steps, steps_done
from adaptive_dropout.checks import check_count
from adaptive_dropout.penalties import penalty
from adaptive_dropout.rates import Rate, named_rates
from adaptive_dropout.schedules import Schedule

__all__ = ["RatePenalty"]


class RatePenalty(PenaltyCallback):
    """Adds the gradient of `adaptive_dropout.penalty` to that of the loss, which is a mean negative log-likelihood.

    Logs ``penalty`` as it is added, in nats per example; with the training loss it makes the negative evidence lower
    bound. Warns of an optimizer whose weight decay is on learned rates.

    >>> from adaptive_dropout import LinearSchedule
    >>> callbacks = [RatePenalty(warm_up=LinearSchedule(0.0, 1.0, steps=0.3))]

    Args:
        n: examples in the training set, or what the loss is the mean over; by default the length of the training
            loader's dataset. Give it where a sampler or augmentation makes that another number.
        warm_up: the factor of the penalty, in [0, 1], at each optimizer step; by default 1. A fraction is of the run.

    Raises:
        TypeError: ``n`` is no integer, or ``warm_up`` no schedule.
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
        self._examples = _examples(trainer) if self.n is None else self.n
        self._resolved = None if self.warm_up is None else _resolved(self.warm_up, known_steps(trainer))
        penalty(pl_module, self._examples)
        _warn_of_decay(trainer, pl_module)

    def penalty(self, trainer: L.Trainer, pl_module: L.LightningModule) -> Tensor:
        """Return the penalty of this step."""
        total = penalty(pl_module, self._examples)
        return total if self._resolved is None else self._resolved(steps_done(trainer)) * total


def _examples(trainer: L.Trainer) -> int:
    dataset = getattr(trainer.train_dataloader, "dataset", None)
    try:
        return check_count(len(dataset) if isinstance(dataset, Sized) else None, "n")
    except (TypeError, ValueError):
        found = type(trainer.train_dataloader if dataset is None else dataset).__name__
        raise ValueError(
            f"the training data, {found}, does not say how many examples it has; give RatePenalty(n=...)"
        ) from None


def _resolved(warm_up: Schedule, steps: int | None) -> Schedule:
    if steps is None and warm_up != warm_up.over(1):
        raise ValueError(
            f"warm_up={warm_up!r} is a fraction of a run without an end; give it in steps, or the trainer max_steps"
        )
    return warm_up.over(math.inf if steps is None else steps)


def _warn_of_decay(trainer: L.Trainer, pl_module: L.LightningModule) -> None:
    rates: dict[str, Rate] = dict(named_rates(pl_module))
    owners = {id(part): name for name, rate in rates.items() for part in rate.parameters()}
    for optimizer in trainer.optimizers:
        for number, group in enumerate(optimizer.param_groups):
            names = sorted({owners[id(w)] for w in group["params"] if id(w) in owners})
            if names and group.get("weight_decay"):
                rank_zero_warn(
                    f"group {number} of {type(optimizer).__name__} has weight_decay={group['weight_decay']:g} on the "
                    f"learned rates {names}, which pulls p to 0.5; make its groups with rate_param_groups(model, lr)"
                )
