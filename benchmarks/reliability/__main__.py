"""Harm runs on purpose and count what survives: ``python -m benchmarks.reliability [KIND ...] [--minutes M]``."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.reliability.attempt import Attempt, attempt
from benchmarks.reliability.kinds import KINDS
from benchmarks.reliability.table import latest, lines
from benchmarks.study.rows import append, read, repair

__all__ = ["main"]

FOLDER = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what is missing of each kind, write ``results.csv`` and ``table.md``; 1 if something was not survived."""
    options = _parser().parse_args(arguments)
    results, console, end = options.out / "results.csv", Console(stderr=True), time.monotonic() + 60 * options.minutes
    repair(results)
    for name in options.kinds or KINDS:
        kind = KINDS[name]
        of_kind = {each.seed: each for each in latest(read(results, Attempt)) if each.kind == name}
        lost = [seed for seed, each in of_kind.items() if options.failed and each.survived < each.times]
        for seed in itertools.chain(lost, itertools.count(max(of_kind, default=-1) + 1)):
            enough = seed not in of_kind and sum(each.times for each in of_kind.values()) >= kind.enough
            if enough or time.monotonic() > end:
                break
            of_kind[seed] = made = attempt(name, kind, seed)
            append(results, made)
            console.print(f"{name} {seed}: {made.survived} of {made.times} survived {made.failures}", markup=False)
    found = read(results, Attempt)
    (options.out / "table.md").write_text("\n".join(lines(found, KINDS)) + "\n")
    sys.stdout.write((options.out / "table.md").read_text())
    return int(any(each.survived < each.times for each in latest(found)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all by default")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further attempt after this time")
    parser.add_argument("--failed", action="store_true", help="try again the seeds that were not survived")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder of results.csv and table.md")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
