"""The results on disk: a CSV file that only grows, a line a training run, each with where it ran."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

__all__ = ["RESULTS", "Row", "append", "read"]

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
    seed: int
    epochs: int
    seconds: float
    accuracy: float
    compression: float
    kept: int


def append(file: Path, row: Row) -> None:
    """Write ``row`` to the end of the file, which begins with the names of the columns."""
    begins = not file.exists()
    with file.open("a", newline="") as out:
        writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
        if begins:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(row).items()})


def read(file: Path) -> list[Row]:
    """Return the rows in the order in which they ran."""
    kinds = {"int": int, "float": float, "str": str}
    with file.open(newline="") as lines:
        return [
            Row(**{field.name: kinds[str(field.type)](cells[field.name]) for field in fields(Row)})
            for cells in csv.DictReader(lines)
        ]
