"""Disks, and W&B's process, that fail while a run trains.

It goes on, says so in one line for each loss, and keeps what can be kept.
"""

from __future__ import annotations

import errno
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning.pytorch as L

from adaptive_dropout.tracking import WandbLogger, decisions, read_run
from benchmarks.reliability.attempt import Outcome
from benchmarks.reliability.full_disks import limited_files, small_file_system
from benchmarks.reliability.trained import loss_of, train, wrong
from benchmarks.reliability.wandb_process import kill_wandb, offline_wandb

__all__ = ["attempt"]

LONG = 40  # epochs


class At(L.Callback):
    """Does something when an epoch begins."""

    def __init__(self, does: dict[int, Callable[[], object]]) -> None:
        self.does = does

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Do what is planned for this epoch."""
        self.does.get(trainer.current_epoch, lambda: None)()


def attempt(seed: int, folder: Path) -> Outcome:
    """Try each failure once, at an epoch that ``seed`` draws."""
    draw, failures, announced = random.Random(seed), [], 0
    for kind in KINDS:
        place = folder / kind.__name__
        place.mkdir()
        try:
            found, told = kind(place, draw)
        except BaseException as error:
            found, told = [f"raised {type(error).__name__}: {error}"], False
        failures += [f"{kind.__name__[1:].replace('_', ' ')}: {line}" for line in found][:1]
        announced += told and not found
    return Outcome(len(KINDS), tuple(failures), announced)


def _full_for_a_while(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    begin = draw.randrange(1, 8)
    with limited_files() as (fill, free), _warned() as said:
        control = train(folder, [At({begin: fill, draw.randrange(begin + 1, 12): free})])
        free()
    return wrong(read_run(folder), _run(control), loss_of(control.weights)) + _told(said, "not written", 1), False


def _full_to_the_end(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    with limited_files() as (fill, free), _warned() as said:
        control = train(folder, [At({draw.randrange(1, 11): fill})], snapshots=folder / "kept")
        free()
    read = read_run(folder)
    whole = [] if _run(control).lines()[: 1 + len(read.decisions)] == read.lines() else ["what is in the file differs"]
    return whole + _told(said, "not written", 1), True


def _read_only(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with patch.object(decisions.DecisionsFile, "__init__", refuse), _warned() as said:
        control = train(folder)
    best = loss_of(control.weights)
    return wrong(_run(control), _run(control), best) + _told(said, "not written", 1), True


def _vanished(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    with _warned() as said:
        control = train(folder, [At({draw.randrange(1, 12): lambda: shutil.rmtree(folder)})])
    return wrong(read_run(folder), _run(control), loss_of(control.weights)) + _told(said, "written anew", 1), False


def _snapshots_vanished(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    kept = folder / "kept"
    with _warned() as said:
        control = train(folder, [At({draw.randrange(1, 12): lambda: shutil.rmtree(kept)})], snapshots=kept)
    ours = [line for line in said if "training goes on" in line]
    twice = [line for line in set(ours) if ours.count(line) > 1]
    return wrong(read_run(folder), _run(control), None) + twice + _told(said, "weights are not", None), True


def _shared(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    inner: list[Any] = []
    with _warned():
        # A second run begins and ends in the folder while the first one trains.
        control = train(folder, [At({draw.randrange(1, 12): lambda: inner.append(train(folder))})])
    files = {(run := read_run(file)).id: run for file in folder.glob("decisions*.jsonl")}
    lines = []
    for each in (control, inner[0]):
        lines += wrong(files[_run(each).id], _run(each), loss_of(each.weights))
    return lines, False


def _full_file_system(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    begin = draw.randrange(8)
    with small_file_system(folder) as (fill, free), _warned() as said:
        # The page of 4 KiB that the file ends in has room for some decisions more.
        plan = At({begin: fill, draw.randrange(begin + LONG // 2, LONG): free})
        control = train(folder, [plan], LONG)
        read = read_run(folder)
    return wrong(read, _run(control), loss_of(control.weights)) + _told(said, "not written", 1), False


def _wandb_killed(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    with offline_wandb(), _warned() as said:
        logger = WandbLogger(save_dir=str(folder))
        control = train(folder, [At({draw.randrange(11): kill_wandb})], logger=logger)
        (file,) = folder.rglob(decisions.FILE)
    lost = wrong(read_run(file), _run(control), loss_of(control.weights))
    return lost + _told(said, "takes no more decisions", 1), True


KINDS = (
    _full_for_a_while, _full_to_the_end, _read_only, _vanished, _snapshots_vanished, _shared,
    _full_file_system, _wandb_killed,
)  # fmt: skip


def _run(control: Any) -> Any:
    assert control.run is not None
    return control.run


def _told(said: list[str], words: str, times: int | None) -> list[str]:
    found = sum(words in line for line in said)
    right = found > 0 if times is None else found == times
    return [] if right else [f"{found} warnings of {words!r} in {said}"]


@contextmanager
def _warned() -> Iterator[list[str]]:
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(StringIO()):
        warnings.simplefilter("always")
        yield said
    said += [str(warning.message) for warning in caught]
