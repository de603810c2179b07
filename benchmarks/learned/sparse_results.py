"""What a training run leaves, a line in a CSV file that only grows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["RESULTS", "Row"]

RESULTS = Path(__file__).with_name("sparse.csv")


@dataclass(frozen=True)
class Row:
    """One training run.

    Args:
        started: UTC.
        commit: of this repository; a plus means that files differed from it.
        machine: its processor, cores, and load at the start.
        versions: of Python and torch.
        threads: of torch.
        network: its widths, as in 784-300-10.
        recipe: its name in `sparse.RECIPES`.
        seed: of initial weights, order and noise.
        epochs: passes over the 60 000 training images.
        seconds: from the first epoch to the last, with the test after each.
        accuracy: on the 10 000 test images after the last epoch, in [0, 1].
        compression: weights over those that are kept.
        kept: weights that are kept.
    """

    started: str
    commit: str
    machine: str
    versions: str
    threads: int
    network: str
    recipe: str
    seed: int
    epochs: int
    seconds: float
    accuracy: float
    compression: float
    kept: int
