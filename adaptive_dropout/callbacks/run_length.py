"""How long a run is: its steps and its validations, where they are known before it ends."""

from __future__ import annotations

import math

import lightning.pytorch as L

__all__ = ["batches_between_validations", "expected_validations", "interval_for", "known_steps", "steps_done"]


def steps_done(trainer: L.Trainer) -> int:
    """Return the optimizer steps so far; under manual optimization the training batches.

    Lightning counts the steps of each optimizer there, two a batch for a GAN.
    """
    return trainer.global_step if trainer.lightning_module.automatic_optimization else _batches_done(trainer)


def known_steps(trainer: L.Trainer) -> int | None:
    """Return the steps of the whole run in the unit of `steps_done`; None where nothing but time or data ends it."""
    if trainer.lightning_module.automatic_optimization:
        total = trainer.estimated_stepping_batches
    else:
        a_batch = max(trainer.global_step, 1) / max(_batches_done(trainer), 1)
        epochs = math.inf if trainer.max_epochs in (None, -1) else float(trainer.max_epochs or 0)
        limit = math.inf if trainer.max_steps == -1 else trainer.max_steps / a_batch
        total = min(trainer.num_training_batches * epochs, limit)
    # For data of unknown length Lightning answers with max_steps, -1 where it is not set.
    return int(total) if 0 <= total < math.inf else None


def expected_validations(trainer: L.Trainer) -> int | None:
    """Return how often the run validates; None where it is not known before it ends."""
    batches, between = _known_batches(trainer), trainer.val_check_batch
    if batches is None or between is None or math.isinf(between):
        return None
    every = trainer.check_val_every_n_epoch
    if every is None or math.isinf(trainer.num_training_batches):
        return int(batches / between)
    return int(batches / trainer.num_training_batches / every) * int(trainer.num_training_batches / between)


def batches_between_validations(trainer: L.Trainer) -> int:
    """Return how many training batches one validation interval has; a million where time decides."""
    between = float(trainer.val_check_batch or math.inf) * (trainer.check_val_every_n_epoch or 1)
    return 10**6 if math.isinf(between) else max(1, int(between))


def interval_for(trainer: L.Trainer, validations: int) -> int:
    """Return the ``val_check_interval``, in batches, with which the run validates so often or a little more."""
    batches, every = _known_batches(trainer) or 1.0, trainer.check_val_every_n_epoch
    if every is None or math.isinf(trainer.num_training_batches):
        return max(1, int(batches / validations))
    an_epoch = math.ceil(validations * every * trainer.num_training_batches / batches)
    return max(1, int(trainer.num_training_batches / an_epoch))


def _known_batches(trainer: L.Trainer) -> float | None:
    """Return the training batches of the whole run; an epoch's last optimizer step takes what is left of it."""
    steps, an_epoch = known_steps(trainer), trainer.num_training_batches
    if steps is None or math.isinf(an_epoch):
        return None if steps is None else float(steps * trainer.accumulate_grad_batches)
    return steps / math.ceil(an_epoch / trainer.accumulate_grad_batches) * an_epoch


def _batches_done(trainer: L.Trainer) -> int:
    return trainer.fit_loop.epoch_loop.total_batch_idx + 1
