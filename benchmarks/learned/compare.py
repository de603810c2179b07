"""Learned rates beside the default controller: ``python -m benchmarks.learned.compare --data-dir DIR --jobs 1``.

Each run is a cell of `benchmarks.control`, with the same split, initial weights, order, steps, validations and choice
of weights; the grid and the controller are read from its results. At the end ``compare.md`` is written from all rows;
``--seeds`` without a number only writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.control import cells
from benchmarks.control.cells import Cell, Row
from benchmarks.control.command import list_cells, make_parser, run_missing
from benchmarks.control.compare import index_rows
from benchmarks.control.table import RESULTS as CONTROL
from benchmarks.learned.compare_table import write_tables
from benchmarks.learned.methods import LEARNED, NORMS, TASKS
from benchmarks.study.rows import read

__all__ = ["RESULTS", "main", "order_cells", "run_cell"]

RESULTS = Path(__file__).with_name("compare.csv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the missing cells and write the table; return 1 if a cell failed, 130 after Ctrl-C, else 0."""
    options = make_parser("benchmarks.learned.compare", RESULTS).parse_args(arguments)
    code = run_missing(options, TASKS, {**LEARNED, **NORMS}, run_cell, order_cells)
    rows = [*read(CONTROL, Row), *read(options.out, Row)]
    options.out.with_suffix(".md").write_text(write_tables(index_rows(rows)))
    return code


def order_cells(tasks: Sequence[str], methods: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """Return all cells seed by seed, and for each seed the learned rates before the norms."""
    parts = [[name for name in methods if name in part] for part in (LEARNED, NORMS)]
    return [cell for seed in seeds for part in parts for cell in list_cells(tasks, part, [seed])]


def run_cell(cell: Cell, folder: Path | None) -> Row:
    """Train once, as the study does, with a method of this one."""
    return cells.run_cell(cell, folder, LEARNED | NORMS)


if __name__ == "__main__":
    sys.exit(main())
