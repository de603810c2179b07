"""Made-up rows of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from benchmarks.control.cells import Row
from benchmarks.control.methods import GRID


def row(task: str, seed: int, method: str, val_loss: float, test_loss: float, **changes: object) -> Row:
    place, tested = ("abc", "2", "2"), (0.5, None, 0.3, 100.0, 10.0, 0)
    plain = Row(*place, task, seed, method, 0.3, val_loss, test_loss, *tested)  # type: ignore[arg-type]
    return replace(plain, **changes)  # type: ignore[arg-type]


def grid(task: str, seed: int, losses: Mapping[str, tuple[float, float]], **changes: object) -> list[Row]:
    """Return the ten fixed rates: (validation loss, test loss) by name, (9, 9) for the others."""
    return [row(task, seed, method, *losses.get(method, (9.0, 9.0)), **changes) for method in GRID]
