"""Loggers that take no more, because a disk is full or a process is gone: one warning, and the run goes on without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from lightning.pytorch.utilities import rank_zero_warn

from adaptive_dropout.tracking.shown import shown

__all__ = ["harmless", "is_lost"]

_lost: WeakSet[Any] = WeakSet()


def is_lost(logger: Any) -> bool:
    """Return whether ``logger`` has failed before."""
    return logger in _lost


@contextmanager
def harmless(logger: Any, errors: type[Exception] = Exception) -> Iterator[None]:
    """Turn ``errors`` that ``logger`` raises into one warning.

    A run is not stopped because its record cannot be kept.
    """
    try:
        yield
    except errors as error:  # whatever a full disk or a service that was killed leads to
        if logger not in _lost:
            _lost.add(logger)
            why = shown(f"{type(error).__name__}: {error}")
            rank_zero_warn(f"{type(logger).__name__} takes no more decisions ({why}); training goes on without it")
