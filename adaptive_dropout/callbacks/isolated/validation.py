"""One validation beside the run: on other batches, by Lightning's own loop, on a copy of the module as it is now."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import lightning.pytorch as L
from torch import Tensor

from adaptive_dropout.callbacks.isolated.guard import fixed_seed, without_side_effects
from adaptive_dropout.callbacks.isolated.silent_trainer import free, silent_trainer
from adaptive_dropout.callbacks.losses import ValidationLosses
from adaptive_dropout.callbacks.trainer import as_validated, logged_metrics
from adaptive_dropout.contexts import eager
from adaptive_dropout.inference.mc_mode import noise_on
from adaptive_dropout.layouts import deep_copy
from adaptive_dropout.nested import write
from adaptive_dropout.rates import refresh_rates
from adaptive_dropout.transfer import read_numbers

__all__ = ["IsolatedValidation", "Validated", "find_logged_metrics", "losses_of_batches"]


class IsolatedValidation:
    """A copy of the module of a run, with the weights that the run would validate now, for one validation.

    Effects of its ``validation_step`` and hooks on the module, its metrics, the trainer, the loggers, the batches and
    torch's, numpy's and Python's generators do not reach the run. Effects on files or connections are refused.

    Args:
        trainer: of the run, which stays as it is.
        pl_module: likewise.
        weights: what `weights` returned in an earlier process; those of now if None.

    Raises:
        Exception: from every method: whatever the user's code raises when it runs on other batches.
    """

    def __init__(
        self, trainer: L.Trainer, pl_module: L.LightningModule, weights: Mapping[str, Tensor] | None = None
    ) -> None:
        with as_validated(trainer, pl_module):
            self._trainer = silent_trainer(trainer, pl_module)
        if weights is not None:
            for name, tensor in self._named_tensors():
                write(weights[name], tensor)

    def weights(self) -> dict[str, Tensor]:
        """Return the parameters and buffers of the copy."""
        return dict(self._named_tensors())

    def _named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        module = self._trainer.lightning_module
        yield from ((name, tensor.detach()) for name, tensor in (*module.named_parameters(), *module.named_buffers()))

    def copy(self) -> IsolatedValidation:
        """Return another with the same weights; call it before `run`, which frees the weights."""
        made = copy.copy(self)
        made._trainer = silent_trainer(self._trainer, self._trainer.lightning_module)
        return made

    def free(self) -> None:
        """Free the weights; nothing else can be called then."""
        free(self._trainer)

    def run(self, batches: Sequence[Any], monitor: str, loader: int = 0, noise: bool = False) -> Validated:
        """Validate on ``batches``, without gradient, as if they were the validation data.

        The generators start from the same seed each time, so that a step draws the same in two measurements.

        Args:
            batches: as they left their loader; each is copied before it is used.
            monitor: the metric to be read for each batch.
            loader: the number of the validation loader that they stand for, where there are several.
            noise: leave dropout on; all else is in eval mode.
        """
        observer = _Observer(monitor, noise)
        ours: Any = self._trainer
        ours.callbacks = [observer]
        theirs = ours.fit_loop.epoch_loop.val_loop
        loop = type(theirs)(
            ours, theirs._trainer_fn, theirs._stage, verbose=False, inference_mode=theirs.inference_mode
        )
        several = 1 if theirs._combined_loader is None else theirs.num_dataloaders
        loaders = [_Copies(batches if number == loader else ()) for number in range(several)]
        loop._data_source = type(theirs._data_source)(loaders if several > 1 else loaders[0], "val_dataloader")
        ours.fit_loop.epoch_loop.val_loop = loop
        try:
            with fixed_seed(), without_side_effects(), eager(), observer.context:
                loop.run()
        finally:
            self.free()
        return Validated(observer.metrics, observer.losses.losses(), observer.logged)


class Validated(NamedTuple):
    """What a validation logged: ``metrics``, unread, the monitored one by batch if known, and how each was logged."""

    metrics: dict[str, float | Tensor]
    losses: list[float]
    logged: dict[str, Any]


def losses_of_batches(
    copies: Callable[[], IsolatedValidation], batches: Sequence[Any], monitor: str, loader: int = 0, noise: bool = False
) -> list[float]:
    """Return what a validation on each of ``batches`` logs as ``monitor``.

    Where Lightning does not average it over batches (a metric object, a loss that is logged when the epoch ends), each
    batch is a validation of its own. The losses of all batches are read from the device at the end, together.

    Args:
        copies: makes a copy of the module, for one validation.
        batches: as in `IsolatedValidation.run`.
        monitor: likewise.
        loader: likewise.
        noise: likewise.

    Raises:
        ValueError: the monitor is not logged for them.
    """
    found = copies().run(batches, monitor, loader, noise)
    if len(found.losses) == len(batches):
        return found.losses
    if monitor not in found.metrics:
        logged = sorted(found.metrics)
        raise ValueError(f"validation_step logs no {monitor!r} for training data; it logs {logged}")
    alone = [copies().run([batch], monitor, loader, noise).metrics for batch in batches]
    return read_numbers([metrics[monitor] for metrics in alone if monitor in metrics])


def find_logged_metrics(
    trainer: L.Trainer, pl_module: L.LightningModule, batches: Sequence[Any], loader: int
) -> dict[str, Any]:
    """Return what a validation on ``batches`` of training data logs, by name; nothing where it cannot be run on them.

    The batches stand for those of the validation loader with the number ``loader``.
    """
    try:
        return IsolatedValidation(trainer, pl_module).run(batches, "", loader).logged if batches else {}
    except Exception:  # the user's own code runs in there; what it logs is then seen at the first validation
        return {}


class _Observer(L.Callback):
    """Reads the metrics as Lightning gathers them; turns dropout on once all is in eval mode, if it is to be on."""

    def __init__(self, monitor: str, noise: bool) -> None:
        self.losses = ValidationLosses(monitor)
        self.metrics: dict[str, float | Tensor] = {}
        self.logged: dict[str, Any] = {}
        self.context = ExitStack()
        self._noise = noise

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._noise:
            refresh_rates(pl_module)  # the tensors of an averaged model hold averages of rates
            self.context.enter_context(noise_on(pl_module))

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.losses.add(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics, self.logged = trainer.callback_metrics, logged_metrics(trainer)
        self.metrics = {name: metrics[name] for name in self.logged if name in metrics}


class _Copies:
    """A loader of ``batches`` that gives a copy of each."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        return (deep_copy(batch) for batch in self._batches)
