"""Guards a run against its measurements: no files, no connections, no processes, and no draws from its generators.

A step that tries one of the first three is stopped, and the measurement is given up. Output, warnings and log records
of a measurement are dropped: the user has seen them from the validation itself.
"""

from __future__ import annotations

import io
import logging
import os
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any
from unittest import mock

import numpy as np
import torch
from lightning_utilities.core.rank_zero import WarningCache

__all__ = ["SideEffectError", "fixed_seed", "without_side_effects"]

FORBIDDEN = {
    "socket.connect": "opens a connection",
    "subprocess.Popen": "starts a process",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "os.mkdir": "makes a folder",
    "os.rmdir": "removes a folder",
    "shutil.rmtree": "removes a folder",
}
CACHES = ("__pycache__", "torchinductor", ".triton", "triton_cache", ".nv")  # kernels are compiled when first needed
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_guarded: set[int] = set()  # the threads that measure now
_installed = False


class SideEffectError(RuntimeError):
    """A validation would do something that cannot be undone."""


@contextmanager
def without_side_effects() -> Iterator[None]:
    """Temporarily keep this thread from writing files, opening connections and printing.

    Raises:
        SideEffectError: by code that tries to; reading is allowed.
    """
    _install()
    thread = threading.get_ident()
    disabled = logging.root.manager.disable
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        # Not catch_warnings, which has every warning of the run shown anew.
        stack.enter_context(mock.patch.multiple(warnings, warn=_do_nothing, showwarning=_do_nothing))
        # Lightning says some things once: it has to say them of the run.
        stack.enter_context(
            mock.patch.multiple(WarningCache, warn=_do_nothing, deprecation=_do_nothing, info=_do_nothing)
        )
        stack.enter_context(mock.patch.object(torch, "save", _refuse_to_save))  # writes without Python's knowledge
        for owner in _wandb():
            stack.enter_context(mock.patch.object(owner, "log", _do_nothing))
        stack.callback(logging.disable, disabled)
        stack.callback(_guarded.discard, thread)
        logging.disable(logging.CRITICAL)
        _guarded.add(thread)
        yield


@contextmanager
def fixed_seed() -> Iterator[None]:
    """Temporarily let torch's, numpy's and Python's global generators start from the same seed.

    They are put back even after an exception, where Lightning's ``isolate_rng`` does not do so.
    """
    cpu, numpy, python = torch.get_rng_state(), np.random.get_state(), random.getstate()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    torch.default_generator.manual_seed(0)
    if cuda is not None:
        torch.cuda.manual_seed_all(0)
    np.random.seed(0)  # what users' steps draw from
    random.seed(0)
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        np.random.set_state(numpy)
        random.setstate(python)


def _install() -> None:
    global _installed
    if not _installed:  # for good: Python has no way to take one out
        sys.addaudithook(_audit)
        _installed = True


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _guarded or threading.get_ident() not in _guarded:
        return
    if event == "open":
        path, mode, flags = arguments
        if _writes(mode, flags) and not _is_cache(path):
            raise SideEffectError(f"it opens {str(path)!r} for writing")
    elif event in FORBIDDEN and not _is_cache(arguments[0]):
        raise SideEffectError(f"it {FORBIDDEN[event]}: {str(arguments[0])!r}")


def _writes(mode: Any, flags: Any) -> bool:
    return any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool((flags or 0) & WRITES)


def _is_cache(path: Any) -> bool:
    name = str(path)
    return name.startswith(os.devnull) or any(cache in name for cache in CACHES)


def _wandb() -> list[Any]:
    """Return what logs to W&B without a logger of Lightning's, if it is in use."""
    wandb: Any = sys.modules.get("wandb")
    run = getattr(wandb, "run", None)
    return [] if run is None else [wandb, type(run)]


def _refuse_to_save(*_: Any, **__: Any) -> None:
    raise SideEffectError("it saves a file by torch.save")


def _do_nothing(*_: Any, **__: Any) -> None: ...
