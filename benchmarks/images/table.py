"""The table of the runs: the methods of a size, losing ones first, and differences to the network without noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report.markdown import show, table
from benchmarks.study.statistics import paired_difference, summarize

__all__ = ["list_places", "write_table"]

HEADER = (
    "method",
    "seeds",
    "test accuracy, %",
    "minus none's",
    "test NLL",
    "minus none's",
    "training NLL",
    "share of a map lost at the end",
    "seconds",
)
INTRODUCTION = """# Images

The JPEG copy of CIFAR-10, weights of the last epoch; nothing was chosen on the test images. Differences are of pairs of
the same seed, in brackets the standard error over the seeds; with two seeds it is hardly known. All DropBlock rows ask
for p = .1 at the end of training."""


def write_table(rows: Sequence[Any], file: Path) -> None:
    """Write the last row of each method and seed, by size and settings."""
    groups: dict[tuple[str, str, str], dict[tuple[str, int], Any]] = {}
    for row in rows:
        groups.setdefault((row.size, row.settings, row.device), {})[row.method, row.seed] = row
    parts = [INTRODUCTION]
    for (size, settings, device), found in groups.items():
        parts += [f"## {size}, {device}", f"`{settings}`", "\n".join(_lines(list(found.values())))]
    file.write_text("\n\n".join([*parts, list_places(rows)]) + "\n")


def list_places(rows: Sequence[Any]) -> str:
    """Return the machines and versions with which ``rows`` were run, and how busy the machines were at the start."""
    loads = [float(row.machine.rpartition("load ")[2]) for row in rows]
    places = sorted({f"{row.versions}; {row.machine.rpartition(', load')[0]}" for row in rows})
    return f"Run with {'; '.join(places)}; one thread a run; loads of {min(loads):g} to {max(loads):g}."


def _lines(rows: Sequence[Any]) -> list[str]:
    methods: dict[str, list[Any]] = {}
    for row in rows:
        methods.setdefault(row.method, []).append(row)
    none = methods.get("none", [])
    ordered = sorted(methods.items(), key=lambda each: summarize(each[1], lambda row: row.test_accuracy)[0])
    return table(HEADER, (_line(name, found, none) for name, found in ordered))


def _line(name: str, rows: Sequence[Any], none: Sequence[Any]) -> list[str]:
    def percent(row: Any) -> float:
        return 100 * float(row.test_accuracy)

    def loss(row: Any) -> float:
        return float(row.test_loss)

    return [
        name,
        str(len(rows)),
        show(summarize(rows, percent), 2),
        show(paired_difference(rows, none, percent) or (float("nan"),) * 2, 2, "+"),
        show(summarize(rows, loss), 4),
        show(paired_difference(rows, none, loss) or (float("nan"),) * 2, 4, "+"),
        show(summarize(rows, lambda row: row.train_loss), 4),
        f"{summarize(rows, lambda row: row.lost)[0]:.3f}",
        f"{summarize(rows, lambda row: row.seconds)[0]:.0f}",
    ]
