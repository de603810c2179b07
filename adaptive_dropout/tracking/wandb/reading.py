"""`read_run`: a run of this library, read back from its own file, from W&B's file, or from W&B's server."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from adaptive_dropout.tracking.decisions import FILE
from adaptive_dropout.tracking.lines import read_lines
from adaptive_dropout.tracking.names import TRACE
from adaptive_dropout.tracking.run import Run
from adaptive_dropout.tracking.shown import shown
from adaptive_dropout.tracking.wandb.file import history_values
from adaptive_dropout.tracking.wandb.server import server_values

__all__ = ["read_run"]


def read_run(run: str | Path) -> Run:
    """Return the rates, signals and decisions of a run. A file that is cut off gives what it holds, with a warning.

    Args:
        run: a folder with ``decisions.jsonl``, such a file, a ``.wandb`` file or its folder, or "entity/project/run".

    Raises:
        FileNotFoundError: there is no such run.
        ValueError: the run has no decisions of this library, or the file is not the file of a run.
        ConnectionError: W&B's server cannot be reached, or nobody is logged in.
    """
    path = Path(run)
    if os.path.exists(path):  # False of a name that is too long
        file = _file_in(path) if path.is_dir() else path
        lines: Iterable[str] = _split(history_values(file, TRACE)) if file.suffix == ".wandb" else read_lines(file)
    elif str(run).count("/") == 2 and "" not in str(run).split("/"):
        lines = _split(server_values(str(run), TRACE))
    else:
        raise FileNotFoundError(
            f"no run at {shown(str(run))!r}; give the folder of a run, its {FILE}, a .wandb file, or entity/project/run"
        )
    return _run_of(str(run), lines)


def _run_of(name: str, lines: Iterable[str]) -> Run:
    try:
        run, broken = Run.from_lines(lines)
    except ValueError as error:
        raise ValueError(f"{name!r} holds no decisions of this library: {error}") from error
    if broken is not None:
        decisions = len(run.decisions)
        warnings.warn(f"{name} is broken in {broken}; the {decisions} decisions before it were read", stacklevel=3)
    return run


def _file_in(folder: Path) -> Path:
    own = folder / FILE
    # Regular files only: someone else's folder may hold a link to a device, which has no end.
    found = [own] if own.is_file() else sorted(file for file in folder.glob("run-*.wandb") if file.is_file())
    if not found:
        raise FileNotFoundError(f"no run in {str(folder)!r}: it has neither {FILE} nor a run-*.wandb")
    return found[-1]


def _split(values: Iterable[str]) -> list[str]:
    return [line for value in values for line in value.splitlines()]
