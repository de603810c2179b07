"""Checks before training begins: each raises, or warns, of what would make a callback mislead or never act."""

from __future__ import annotations

import math

import lightning.pytorch as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_warn

from adaptive_dropout.callbacks.packages import both, callbacks_of
from adaptive_dropout.callbacks.trainer import expected_validations, interval_for, known_steps
from adaptive_dropout.controllers.diagnosis import SHORTEST_STALL
from adaptive_dropout.rates import Rate, named_rates
from adaptive_dropout.schedules import Schedule

__all__ = [
    "SHARDED",
    "check_alone",
    "check_has_end",
    "check_pace",
    "check_surroundings",
    "check_validated",
    "warn_of_decay",
]

FEW = 20  # validations in a run
SHARDED = (*both(DeepSpeedStrategy), *both(FSDPStrategy), *both(ModelParallelStrategy))


def check_alone(trainer: L.Trainer, kind: type[Callback]) -> None:
    """Raise a ValueError where several callbacks of this ``kind`` move the same rates."""
    steering = [type(other).__name__ for other in callbacks_of(trainer, kind)]
    if len(steering) > 1:
        raise ValueError(f"{steering} steer the same rates; keep one, or give it a Partition of controllers")


def check_surroundings(trainer: L.Trainer, control: Callback) -> None:
    """Raise a ValueError where the strategy or another callback of ``trainer`` does not work with rewinds."""
    name = type(control).__name__
    if isinstance(trainer.strategy, SHARDED):
        sharded = type(trainer.strategy).__name__
        raise ValueError(f"{name} cannot rewind a model sharded by {sharded}; use strategy='ddp' or a single device")
    if callbacks_of(trainer, StochasticWeightAveraging):
        raise ValueError(
            f"StochasticWeightAveraging averages weights that {name} rewinds, and validation never sees the average; "
            "use EMAWeightAveraging or WeightAveraging"
        )
    others = callbacks_of(trainer, Callback)
    for other in others[: others.index(control)]:
        if isinstance(other, both(WeightAveraging)):
            raise ValueError(
                f"{type(other).__name__} averages the weights that {name} rewinds; put it behind {name} in callbacks"
            )


def check_validated(trainer: L.Trainer, control: Callback) -> None:
    """Raise a ValueError where nothing validates the run, so that ``control`` would never decide."""
    if not trainer.enable_validation:
        raise ValueError(
            f"{type(control).__name__} decides after each validation, but this run has none; "
            "give the trainer val_dataloaders and the model a validation_step"
        )


def check_pace(trainer: L.Trainer) -> None:
    """Raise a ValueError where the run has no known end; warn where it is too short for a rule that rewinds."""
    _check_length(trainer)
    _warn_of_early_stopping(trainer)


def check_has_end(trainer: L.Trainer, schedule: Schedule, owner: str) -> None:
    """Raise a ValueError where the ``schedule`` of ``owner`` is a fraction of a run that has no known end."""
    if known_steps(trainer) is None and schedule != schedule.over(1):
        raise ValueError(
            f"{schedule!r} of {owner} is a fraction of a run without an end; "
            "give its horizon in steps, or the trainer max_steps"
        )


def warn_of_decay(trainer: L.Trainer, pl_module: L.LightningModule) -> None:
    """Warn of each group of an optimizer whose weight decay acts on learned rates."""
    rates: dict[str, Rate] = dict(named_rates(pl_module))
    owners = {id(part): name for name, rate in rates.items() for part in rate.parameters()}
    for optimizer in trainer.optimizers:
        for number, group in enumerate(optimizer.param_groups):
            names = sorted({owners[id(w)] for w in group["params"] if id(w) in owners})
            if names and group.get("weight_decay"):
                rank_zero_warn(
                    f"group {number} of {type(optimizer).__name__} has weight_decay={group['weight_decay']:g} on the "
                    f"learned rates {names}, which moves them whatever the data say; make its groups with "
                    "rate_param_groups(model, lr)"
                )


def _check_length(trainer: L.Trainer) -> None:
    """Raise where there is no known end to pace a rule by; warn where the run rarely validates."""
    steps, validations = known_steps(trainer), expected_validations(trainer)
    if steps is None:
        raise ValueError(
            f"a rule that rewinds has to know how many steps the run has, but max_steps is {trainer.max_steps}, "
            f"max_epochs {trainer.max_epochs} and the data of {trainer.num_training_batches} batches; set max_steps"
        )
    if validations is not None and validations < FEW:
        rank_zero_warn(
            f"this run validates {validations} times, and a rule that rewinds needs at least {FEW} validations; "
            f"set val_check_interval to {interval_for(trainer, FEW)} batches or fewer"
        )


def _warn_of_early_stopping(trainer: L.Trainer) -> None:
    """Warn where early stopping leaves no time to rewind from a stall."""
    # A rewind waits for half the age of the best weights: at most a third of the run for the first one.
    enough = max(2 * SHORTEST_STALL, math.ceil((expected_validations(trainer) or 0) / 3))
    for stopping in callbacks_of(trainer, EarlyStopping):
        if stopping.patience <= SHORTEST_STALL:
            rank_zero_warn(
                f"EarlyStopping(patience={stopping.patience}) stops before a stall can be rewound from, which takes "
                f"more than {SHORTEST_STALL} validations; set its patience to {enough} or more"
            )
