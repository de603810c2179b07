"""Averages of the weights, kept by Lightning's `WeightAveraging`: validation measures them, training does not.

They are part of what is measured, so a rewind brings them back with the weights; and what is compared with the
validation loss has to be measured on them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import lightning.pytorch as L
from lightning.pytorch.callbacks import WeightAveraging
from torch import nn

from adaptive_dropout.callbacks.both import both

__all__ = ["as_validated", "averages", "with_averages"]


def averages(trainer: L.Trainer) -> list[nn.Module]:
    """Return the averaged models that validation measures in place of the trained one."""
    return [callback._average_model for callback in _averaging(trainer) if callback._average_model is not None]


def with_averages(trainer: L.Trainer, pl_module: L.LightningModule) -> nn.Module:
    """Return the trained model together with the averages of it."""
    averaged = averages(trainer)
    return nn.ModuleList([pl_module, *averaged]) if averaged else pl_module


@contextmanager
def as_validated(trainer: L.Trainer, pl_module: L.LightningModule) -> Iterator[None]:
    """Put the weights that validation measured into the model for a while."""
    with ExitStack() as undo:
        for callback in _averaging(trainer):
            callback.on_validation_epoch_start(trainer, pl_module)
            undo.callback(callback.on_validation_epoch_end, trainer, pl_module)
        yield


def _averaging(trainer: L.Trainer) -> list[WeightAveraging]:
    return [callback for callback in trainer.callbacks if isinstance(callback, both(WeightAveraging))]  # type: ignore[attr-defined]
