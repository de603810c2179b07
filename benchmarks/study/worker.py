"""What a process that runs cells does, whichever engine it belongs to."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

__all__ = ["ATTEMPTS", "attempt", "one_quiet_thread"]

ATTEMPTS = 3
"""How often a cell is begun before the death of its process counts as its own fault, such as too little memory."""

C = TypeVar("C")
R = TypeVar("R")


def attempt(work: Callable[[C], R], cell: C) -> tuple[R, None] | tuple[None, str]:
    """Return what ``work`` gives for ``cell`` and None, or None and in one line why it gave nothing."""
    try:
        return work(cell), None
    except Exception as error:  # whatever a cell raises, the others go on
        return None, str(error).split("\n")[0] or type(error).__name__


def one_quiet_thread() -> None:
    """Keep torch to one thread, and Lightning from advice that every cell would repeat."""
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    # Lightning 2.6 on torch 2.15: it asks isinstance(..., LeafSpec) itself.
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
