"""The two packages of Lightning: the classes of `lightning.pytorch` are not those of `pytorch_lightning`.

A Trainer of either takes callbacks of the other. Its command line refuses them, though, and its loggers, checkpoints
and averages are not instances of the other's classes. Where `pytorch_lightning` is not installed there is only one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import lightning.pytorch as L
from lightning.pytorch import callbacks
from lightning_utilities.core import rank_zero

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback, RichProgressBar

__all__ = ["Callback", "RichProgressBar", "both", "callbacks_of"]

T = TypeVar("T")


@functools.cache
def both(kind: type[T]) -> tuple[type[T], ...]:
    """Return ``kind``, a class of `lightning.pytorch`, and the other package's class of that name, for ``isinstance``.

    Any other class is returned alone or twice.
    """
    module = kind.__module__.replace("lightning.pytorch", "pytorch_lightning")
    try:
        with _lightnings_own_log():
            return (kind, getattr(import_module(module), kind.__name__))
    except (ImportError, AttributeError):  # not installed, or a version without it
        return (kind,)


def callbacks_of(trainer: L.Trainer, *kinds: type[T]) -> list[T]:
    """Return the callbacks of ``trainer`` that are of one of these ``kinds``, of either package, in their order."""
    every: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it in a connector
    classes: Any = kinds
    return [callback for callback in every if any(isinstance(callback, both(kind)) for kind in classes)]


@contextmanager
def _lightnings_own_log() -> Iterator[None]:
    """Keep the logger of ``rank_zero_info``: the packages share one, and it goes to the package imported last."""
    log = getattr(rank_zero, "log", None)
    try:
        yield
    finally:
        if log is not None:
            rank_zero.log = log


if not TYPE_CHECKING:  # to inherit from; hooks and constructors are those of `lightning.pytorch`
    Callback = type("Callback", both(callbacks.Callback), {})
    RichProgressBar = type("RichProgressBar", both(callbacks.RichProgressBar), {})
