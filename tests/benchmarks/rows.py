"""Made-up rows of a study."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.control.cells import Row
from benchmarks.control.methods import GRID


def row(task: str, seed: int, method: str, val_loss: float, test_loss: float, **changes: object) -> Row:
    settings: dict[str, object] = {
        "commit": "abc",
        "torch": "2",
        "lightning": "2",
        "task": task,
        "seed": seed,
        "method": method,
        "start": 0.3,
        "val_loss": val_loss,
        "test_loss": test_loss,
        "test_accuracy": 0.5,
        "test_rmse": None,
        "final_rate": 0.3,
        "gradient_examples": 100.0,
        "seconds": 10.0,
        "rewinds": 0,
    }
    return Row(**settings | changes)  # type: ignore[arg-type]


def grid(task: str, seed: int, losses: Mapping[str, tuple[float, float]], **changes: object) -> list[Row]:
    """Return the ten fixed rates: (validation loss, test loss) by name, (9, 9) for the others."""
    return [row(task, seed, method, *losses.get(method, (9.0, 9.0)), **changes) for method in GRID]
