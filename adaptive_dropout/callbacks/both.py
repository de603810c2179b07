"""Lightning's classes under both of its names: those of `lightning.pytorch` are not those of `pytorch_lightning`.

Either Trainer takes callbacks of the other, but its command line refuses them, and its loggers, checkpoints and
averages are not instances of the first one's. Where `pytorch_lightning` is not installed there is one name.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from lightning.pytorch import callbacks
from lightning_utilities.core import rank_zero

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback, RichProgressBar

__all__ = ["Callback", "RichProgressBar", "both"]

T = TypeVar("T")


@functools.cache
def both(kind: type[T]) -> tuple[type[T], ...]:
    """Return ``kind``, a class of `lightning.pytorch`, and its namesake where there is one, for ``isinstance``."""
    module = kind.__module__.replace("lightning.pytorch", "pytorch_lightning")
    log = rank_zero.log
    try:
        return (kind, getattr(import_module(module), kind.__name__))
    except (ImportError, AttributeError):  # not installed, or a version without it
        return (kind,)
    finally:
        rank_zero.log = log  # the two share one, and it goes to the last that is imported


if not TYPE_CHECKING:  # to inherit from; hooks and constructors are those of `lightning.pytorch`
    Callback = type("Callback", both(callbacks.Callback), {})
    RichProgressBar = type("RichProgressBar", both(callbacks.RichProgressBar), {})
