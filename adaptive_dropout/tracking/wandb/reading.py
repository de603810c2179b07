"""`read_run`: a run of this library, read back from its own file, from W&B's file, or from W&B's server."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from adaptive_dropout.tracking.decisions import FILE
from adaptive_dropout.tracking.names import TRACE
from adaptive_dropout.tracking.run import Run
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
    if path.exists():
        file = _file_in(path) if path.is_dir() else path
        values = history_values(file, TRACE) if file.suffix == ".wandb" else _lines(file)
    elif str(run).count("/") == 2 and "" not in str(run).split("/"):
        values = server_values(str(run), TRACE)
    else:
        raise FileNotFoundError(
            f"no run at {str(run)!r}; give the folder of a run, its {FILE}, a .wandb file, or entity/project/run"
        )
    return _run_of(str(run), [line for value in values for line in value.splitlines()])


def _run_of(name: str, lines: Sequence[str]) -> Run:
    try:
        run, broken = Run.from_lines(lines)
    except ValueError as error:
        raise ValueError(f"{name!r} holds no decisions of this library: {error}") from error
    if broken is not None:
        decisions = len(run.decisions)
        warnings.warn(f"{name} is broken in line {broken}; the {decisions} decisions before it were read", stacklevel=3)
    return run


def _file_in(folder: Path) -> Path:
    own = folder / FILE
    found = [own] if own.exists() else sorted(folder.glob("run-*.wandb"))
    if not found:
        raise FileNotFoundError(f"no run in {str(folder)!r}: it has neither {FILE} nor a run-*.wandb")
    return found[-1]


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        yield from lines
