"""`DropoutRateScheduler`: tells scheduled rates which step it is."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import lightning.pytorch as L

from adaptive_dropout.callbacks.base import RateCallback
from adaptive_dropout.rates import Rate, ScheduledRate, named_rates, set_step

__all__ = ["DropoutRateScheduler"]


class DropoutRateScheduler(RateCallback):
    """Sets every scheduled rate of the model before each training batch to the p of the optimizer step.

    The step is the trainer's ``global_step``, so a resumed run and accumulated batches follow the same curve. Horizons
    given as a fraction of training, the schedules' default, are resolved against the length of the run.

    >>> from adaptive_dropout import CosineSchedule, Dropout
    >>> layer = Dropout(CosineSchedule(0.5, 0.1))  # over the whole run
    >>> callbacks = [DropoutRateScheduler()]

    Raises:
        ValueError: at the start of ``fit``: the model has no scheduled rate; or a horizon is a fraction of a run that
            has no end.
    """

    kind: ClassVar[type[Rate]] = ScheduledRate
    remedy: ClassVar[str] = "give a layer a schedule, as in Dropout(CosineSchedule(0.5, 0.1))"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Resolve fractions of training into steps."""
        total = trainer.estimated_stepping_batches
        for name, rate in named_rates(pl_module, ScheduledRate):
            if 0 <= total < math.inf:  # -1 for data of unknown length without max_steps
                rate.resolve(int(total))
            elif rate.schedule != rate.schedule.over(1):
                raise ValueError(
                    f"{rate.schedule!r} of {name!r} is a fraction of a run without an end; "
                    "give its horizon in steps, or the trainer max_steps"
                )
        set_step(pl_module, trainer.global_step)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Move the rates to the p of this step."""
        set_step(pl_module, trainer.global_step)
