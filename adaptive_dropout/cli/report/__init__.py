"""``adaptive-dropout report``: runs as one HTML page to send to a colleague; it needs no network and no scripts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from adaptive_dropout.cli.garbage import uncollected
from adaptive_dropout.cli.report.page import page
from adaptive_dropout.cli.report.reported import Reported
from adaptive_dropout.cli.setup import command_parser
from adaptive_dropout.cli.terminal import warn
from adaptive_dropout.tracking import read_run
from adaptive_dropout.tracking.folders import check_file

__all__ = ["report"]


@uncollected()
def report(arguments: Sequence[str]) -> None:
    """Read the runs that ``arguments`` name and write their page.

    Raises:
        ValueError, OSError, ConnectionError: the arguments, or a run, or where the page should go, are not what they
            have to be; nothing is written then.
    """
    parser = command_parser("report", "Write the rates, losses and decisions of runs to one HTML file.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run, .wandb file, or entity/project/run")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), help="the file; report.html if left out"
    )
    given = parser.parse_args(list(arguments))
    check_file(given.output)
    names = _names(given.runs)
    reported = [_read(where, name) for where, name in zip(given.runs, names, strict=True)]
    given.output.write_text(page(reported), encoding="utf-8")
    print(given.output)


def _read(where: str, name: str) -> Reported:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        run = read_run(where)
    notes = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    for note in notes:
        warn(note)
    return Reported.of(name, run, Path(where), notes)


def _names(runs: Sequence[str]) -> list[str]:
    """Name each run by its folder, or by the path that was given if two folders have the same name."""
    paths = [Path(os.path.abspath(run)) for run in runs]
    short = [path.parent.name if os.path.isfile(path) else path.name for path in paths]
    return [name if short.count(name) == 1 else run for name, run in zip(short, runs, strict=True)]
