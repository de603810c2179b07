"""The loss of each validation batch, read from what Lightning has gathered so far: nobody has to log it again."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
from torch import Tensor

__all__ = ["BatchLosses", "names_logged"]


class BatchLosses:
    """Reads the monitored loss of each batch of one validation.

    There is one for each batch if ``validation_step`` logs the loss as a number that Lightning averages, or as a metric
    object that it has called; none if it is logged when all batches are done.

    Args:
        monitor: the name that it has in ``callback_metrics``.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.reset()

    def reset(self) -> None:
        """A validation begins."""
        self._sums: list[tuple[Tensor, Tensor]] = []
        self._values: list[Tensor] = []

    def add(self, trainer: L.Trainer) -> None:
        """Read what the batch that has just been validated added."""
        results: Any = trainer._results
        for item in results.values():
            if self.monitor in _names(results, item) and not item.has_reset:
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
        """Return them, without batches that logged none; waits for the device."""
        found, total, count = [float(value) for value in self._values], 0.0, 0.0
        for new_total, new_count in ((float(value), float(examples)) for value, examples in self._sums):
            if new_count > count:
                found.append((new_total - total) / (new_count - count))
            total, count = new_total, new_count
        return found


def names_logged(trainer: L.Trainer) -> dict[str, Any]:
    """Return what the validation that is ending logged, by the names in ``callback_metrics``: how it was logged.

    ``callback_metrics`` itself still holds what earlier validations logged.
    """
    results: Any = trainer._results
    fresh = [item for item in results.values() if not item.has_reset and item.meta.on_epoch]
    return {name: item for item in fresh for name in _names(results, item)}


def _names(results: Any, item: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = results._forked_name(item, False)
    return names
