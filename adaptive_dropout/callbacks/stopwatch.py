"""What a control costs: the time in its own hooks, beside that of the run."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Stopwatch", "timed"]


class Stopwatch:
    """Seconds since it was made, and those of them in the hooks of its owner.

    On a GPU the time in which a hook waits for kernels is counted, not that of kernels which nobody waits for.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.own = 0.0

    def ratio(self) -> float:
        """Return all seconds over those outside of the hooks, at least 1."""
        whole = time.perf_counter() - self._began
        return whole / max(whole - self.own, 1e-9)


def timed(hook: Callable[..., None]) -> Callable[..., None]:
    """Return the ``hook`` of a callback with a `Stopwatch` called ``stopwatch``, its time added to that."""

    @functools.wraps(hook)
    def measured(self: Any, *arguments: Any, **named: Any) -> None:
        began = time.perf_counter()
        try:
            hook(self, *arguments, **named)
        finally:
            self.stopwatch.own += time.perf_counter() - began

    return measured
