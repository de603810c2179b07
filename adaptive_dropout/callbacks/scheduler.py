"""`DropoutRateScheduler`: tells scheduled rates which step it is."""

from __future__ import annotations

from typing import Any, ClassVar

import lightning.pytorch as L

from adaptive_dropout.callbacks.base import RateCallback
from adaptive_dropout.callbacks.checks import check_has_end
from adaptive_dropout.callbacks.trainer import known_steps, steps_done
from adaptive_dropout.rates import Rate, ScheduledRate

__all__ = ["DropoutRateScheduler"]


class DropoutRateScheduler(RateCallback):
    """Sets every scheduled rate of the model before each training batch to the p of the optimizer step.

    The step is the trainer's ``global_step``, so a resumed run and accumulated batches follow the same curve; under
    manual optimization, where that counts the steps of each optimizer, it is the number of batches. Horizons given as a
    fraction of training, the schedules' default, are resolved against the length of the run.

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
        for name, rate in self._scheduled():
            check_has_end(trainer, rate.schedule, repr(name))
        self._resolve(trainer)
        self._set_step(trainer)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Move the rates to the p of this step."""
        if not pl_module.automatic_optimization:
            self._resolve(trainer)  # how many steps a batch takes shows only in those done
        self._set_step(trainer)

    def _scheduled(self) -> list[tuple[str, ScheduledRate]]:
        return [(name, rate) for name, rate in self._rates.items() if isinstance(rate, ScheduledRate)]

    def _resolve(self, trainer: L.Trainer) -> None:
        total = known_steps(trainer)
        if total is not None:
            for _, rate in self._scheduled():
                rate.resolve(total)

    def _set_step(self, trainer: L.Trainer) -> None:
        step = steps_done(trainer)
        for _, rate in self._scheduled():
            rate.set_step(step)
