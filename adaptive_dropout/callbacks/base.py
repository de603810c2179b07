"""The base of callbacks that work on rates: it checks that there are some and syncs their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import lightning.pytorch as L
from torch.nn.parallel import DistributedDataParallel

from adaptive_dropout.callbacks.packages import Callback, callbacks_of
from adaptive_dropout.rates import FixedRate, Rate, ScheduledRate, SettableRate, named_rates, refresh_rates

__all__ = ["RateCallback"]


class RateCallback(Callback):
    """A callback that works on rates of one kind, and raises before training where the model has none.

    Averaging or broadcasting the buffers of a model can overwrite the tensor of a rate; it is filled again from its p
    at the start of each epoch and at the end of fitting. DDP does not broadcast the rates that the callback sets: they
    are equal in all processes, and one that validates longer than the others would wait for them. State in a checkpoint
    is loaded to resume fitting, not to test the best checkpoint, which would cut the record short.
    """

    kind: ClassVar[type[Rate]]
    """The rates that this callback works on."""

    remedy: ClassVar[str]
    """The advice for a model without such rates."""

    _goes_on = True
    _rates: Mapping[str, Rate]
    """The rates of the model by name, found at the start of each epoch: a walk over its modules at each step costs."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Forget an earlier ``fit``; a checkpoint that is loaded after this resumes training."""
        self._goes_on = stage == "fit"
        if self._goes_on:
            self._begin()

    def _begin(self) -> None:
        """Set what a callback remembers of one ``fit`` to what it is before."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise where there is nothing to work on, or where nothing drives a schedule."""
        self._rates = dict(named_rates(pl_module))
        found = {name: type(rate).__name__ for name, rate in self._rates.items()}
        if not any(named_rates(pl_module, self.kind)):
            has = f"its rates are {found}" if found else "it has no dropout layer of adaptive_dropout"
            raise ValueError(f"{type(self).__name__} finds no {self.kind.__name__} in the model ({has}); {self.remedy}")
        scheduled = [name for name, _ in named_rates(pl_module, ScheduledRate)]
        if scheduled and not any(callback.kind is ScheduledRate for callback in callbacks_of(trainer, RateCallback)):
            raise ValueError(
                f"nothing drives the schedules of {scheduled}; add DropoutRateScheduler() to the callbacks"
            )
        if self.kind in (SettableRate, ScheduledRate) and isinstance(trainer.strategy.model, DistributedDataParallel):
            _keep_from_broadcasts(trainer.strategy.model, self.kind)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find the rates again, as layers may have been added, and fill their tensors from their p."""
        self._rates = dict(named_rates(pl_module))
        refresh_rates(pl_module)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Fill the rates' tensors from their p."""
        refresh_rates(pl_module)


def _keep_from_broadcasts(model: DistributedDataParallel, kind: type[Rate]) -> None:
    """Have DDP leave out the tensors of these rates, and of fixed ones, when it broadcasts buffers before a forward."""
    left_out = {id(rate.value) for rate in model.modules() if isinstance(rate, (kind, FixedRate))}
    model.modules_buffers = [buffer for buffer in model.modules_buffers if id(buffer) not in left_out]
