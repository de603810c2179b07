"""What every section is given, and what it yields: one measured number at a time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

__all__ = ["Measured", "Run", "explain", "skip"]

T = TypeVar("T")


class Measured(NamedTuple):
    """One number.

    Args:
        subject: the layer, noise or contender.
        setting: the dtype, the mode and the pass, or whatever else the number belongs to.
        size: of the input.
        quantity: a name in `table.FORMATS`.
        value: the number; 1 or 0 for yes or no; NaN if there is none.
        note: the reason why there is none.
    """

    subject: str
    setting: str
    size: str
    quantity: str
    value: float
    note: str = ""


@dataclass(frozen=True)
class Run:
    """The conditions under which a section measures.

    Args:
        device: "cuda", or "cpu" for a dry run.
        quick: whether sizes are small and few, and graphs are not compiled by inductor.
        deadline: on `time.monotonic`, after which a section begins nothing new.
    """

    device: str
    quick: bool
    deadline: float

    @property
    def on_gpu(self) -> bool:
        """Whether events, graphs and the synchronisation mode of CUDA are there."""
        return self.device == "cuda"

    @property
    def backend(self) -> str:
        """The backend of ``torch.compile``."""
        return self.choose("inductor", "eager")

    def choose(self, full: T, quick: T) -> T:
        """Return ``quick`` in a quick run, else ``full``."""
        return quick if self.quick else full

    def late(self) -> bool:
        """Return whether the time of the section is up."""
        return time.monotonic() > self.deadline


def skip(subject: str, setting: str, size: str, quantity: str, why: str) -> Measured:
    """Return the row of a number that could not be measured."""
    return Measured(subject, setting, size, quantity, math.nan, why)


def explain(error: Exception) -> str:
    """Return the kind of ``error`` and the beginning of its text, in one line."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:100]}"
