"""The losses of single batches, which Lightning's logged metrics do not give.

Its logged ``train_loss`` is that of the last step, at validation, ``train_loss_epoch`` is the previous epoch's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
from torch import Tensor

from adaptive_dropout.callbacks.trainer import names_of_result, private
from adaptive_dropout.signals import RunningLoss
from adaptive_dropout.transfer import read_numbers

__all__ = ["ValidationLosses", "add_batch_loss", "batch_loss", "loss_in"]


def add_batch_loss(running: RunningLoss, pl_module: L.LightningModule, outputs: Any) -> None:
    """Add the loss of one batch, from the ``outputs`` of ``on_train_batch_end``; where there is none, add nothing."""
    loss = batch_loss(pl_module, outputs)
    if loss is not None:
        running.add(loss)


def batch_loss(pl_module: L.LightningModule, outputs: Any) -> Tensor | None:
    """Return the loss of one batch, from the ``outputs`` of ``on_train_batch_end``; None where there is none.

    Nothing writes to the tensor later: it may be read after other steps, without waiting for the device now.
    """
    loss = loss_in(outputs)
    if loss is None:
        return None
    if not pl_module.automatic_optimization:
        return loss.detach().clone()  # of a step in a CUDA graph, which writes the next loss to the same place
    # Automatic optimization hands over a copy of the loss, divided for accumulation.
    divided_by = pl_module.trainer.accumulate_grad_batches
    return loss.detach() if divided_by == 1 else loss.detach() * divided_by


def loss_in(outputs: Any) -> Tensor | None:
    """Return the loss in what ``training_step`` returns: a tensor of one number, or that at "loss" of a mapping."""
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    return loss if isinstance(loss, Tensor) and loss.numel() == 1 else None


class ValidationLosses:
    """Reads the monitored loss of each batch of one validation from what Lightning has gathered so far.

    There is a loss for each batch if ``validation_step`` logs it as a number that Lightning averages, or as a metric
    object that it has called. There is none if it is logged when all batches are done.

    Args:
        monitor: the name that it has in ``callback_metrics``.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self._sums: list[tuple[Tensor, Tensor]] = []
        self._values: list[Tensor] = []

    def add(self, trainer: L.Trainer) -> None:
        """Read the loss of the batch that has just been validated."""
        results = private(trainer, "_results")
        for item in results.values():
            if self.monitor in names_of_result(results, item) and not item.has_reset:
                self._add(item)
                return

    def _add(self, item: Any) -> None:
        if not item.is_tensor:
            value = item.value._forward_cache
            last = self._values[-1] if self._values else None
            if isinstance(value, Tensor) and value.numel() == 1 and value is not last:
                self._values.append(value)
        elif item.meta.is_mean_reduction:
            self._sums.append((item.value, item.cumulated_batch_size))

    def losses(self) -> list[float]:
        """Return the losses of all batches that logged one; waits for the device once."""
        numbers = read_numbers([*self._values, *(number for pair in self._sums for number in pair)])
        found, sums = numbers[: len(self._values)], numbers[len(self._values) :]
        total, count = 0.0, 0.0
        for new_total, new_count in zip(sums[::2], sums[1::2], strict=True):
            if new_count > count:
                found.append((new_total - total) / (new_count - count))
            total, count = new_total, new_count
        return found
