"""Code that must not wait for the device: the host runs ahead of it, and each wait costs what it was ahead."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["forbid_waiting"]


@contextmanager
def forbid_waiting() -> Iterator[None]:
    """Let torch raise wherever the code inside waits for the device."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
