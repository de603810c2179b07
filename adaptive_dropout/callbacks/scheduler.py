"""`DropoutRateScheduler`: tells scheduled rates which step it is."""

from __future__ import annotations

from typing import Any, ClassVar

import lightning.pytorch as L

from adaptive_dropout.callbacks.base import RateCallback
from adaptive_dropout.callbacks.checks import check_has_end
from adaptive_dropout.callbacks.control import DropoutRateControl
from adaptive_dropout.callbacks.generators import GeneratorState
from adaptive_dropout.callbacks.packages import callbacks_of
from adaptive_dropout.callbacks.resume import tell_differences
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

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._step: int | None = None
        self._generators = GeneratorState()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise where the model has no scheduled rate."""
        super().on_fit_start(trainer, pl_module)
        self._generators.on_fit_start(trainer)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Resolve fractions of training into steps."""
        for name, rate in self._scheduled():
            check_has_end(trainer, rate.schedule, repr(name))
        self._resolve(trainer)
        if self._step is None:
            self._set_step(steps_done(trainer))
        else:  # the rates of the checkpoint, until the next batch begins
            self._set_step(self._step)
            if not callbacks_of(trainer, DropoutRateControl):
                tell_differences(trainer)
        self._generators.on_train_start()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Move the rates to the p of this step."""
        if not pl_module.automatic_optimization:
            self._resolve(trainer)  # how many steps a batch takes shows only in those done
        self._set_step(steps_done(trainer))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find the rates again."""
        super().on_train_epoch_start(trainer, pl_module)
        self._generators.on_train_epoch_start()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note it for checkpoints that are written from now until the next epoch."""
        self._generators.on_train_epoch_end()

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Fill the rates' tensors; where a checkpoint left nothing to train, with the rates of its run's end."""
        if self._generators.waits and self._step is not None:
            self._resolve(trainer)
            self._set_step(self._step)
        self._generators.on_fit_end()
        super().on_fit_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Return the step of the last batch and the generators' states."""
        return {"step": self._step, "generators": self._generators.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint when training starts."""
        if self._goes_on:
            self._step = state_dict["step"]
            self._generators.load_state_dict(state_dict["generators"])

    def _scheduled(self) -> list[tuple[str, ScheduledRate]]:
        return [(name, rate) for name, rate in self._rates.items() if isinstance(rate, ScheduledRate)]

    def _resolve(self, trainer: L.Trainer) -> None:
        total = known_steps(trainer)
        if total is not None:
            for _, rate in self._scheduled():
                rate.resolve(total)

    def _set_step(self, step: int) -> None:
        self._step = step
        for _, rate in self._scheduled():
            rate.set_step(step)
