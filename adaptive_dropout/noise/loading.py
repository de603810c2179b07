"""The modules with kernels: imported when first used, and given up where the machine cannot run them."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType
from typing import Any

import torch

from adaptive_dropout.noise.threads import run_in_threads

__all__ = ["KERNELS", "Kernels", "NotReadyError"]

RAISED = (TypeError, AttributeError, NameError, LookupError, AssertionError, torch.OutOfMemoryError)
"""Errors that do not come from a missing or failing compiler: mistakes in the code here, or a device out of memory."""


class NotReadyError(Exception):
    """A kernel cannot run this once, for no fault of its own."""


class Kernels:
    """A module with kernels, imported when first used; after a failure, which warns once, they are not used again.

    A failure is one of the machine: the compiler is missing, finds no folder for its output, or does not know the
    device. Errors in `RAISED` are not of that kind, and are raised.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.loaded: ModuleType | None = None
        self.failed = False

    def call(self, name: str, arguments: tuple[Any, ...], chunks: int | None = None) -> bool:
        """Call the kernel ``name``, in threads for parts of the ``chunks`` if given; return whether it could."""
        if self.failed or not (self.loaded or self._load()):
            return False
        kernel = getattr(self.loaded, name)
        try:
            if chunks is None:
                kernel(*arguments)
            else:
                run_in_threads(kernel, arguments, chunks)
        except NotReadyError:
            return False
        except RAISED:
            raise
        except Exception as error:
            self._give_up(error)
        return not self.failed

    def _load(self) -> bool:
        if self.loaded is None:
            try:
                self.loaded = importlib.import_module(f"adaptive_dropout.noise.{self.module}")
            except Exception as error:  # whatever an installation that does not fit together raises
                self._give_up(error)
        return self.loaded is not None

    def _give_up(self, error: Exception) -> None:
        self.failed = True
        warnings.warn(
            f"noise on {self.module} is drawn in torch operations, which is slower, because its kernels failed: "
            f"{error!r}",
            RuntimeWarning,
            stacklevel=3,
        )


KERNELS = {device: Kernels(device) for device in ("cpu", "cuda")}
