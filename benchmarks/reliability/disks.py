"""Disks that fail while a run trains: it goes on, says so in one line for each loss, and keeps what can be kept."""

from __future__ import annotations

import errno
import random
import resource
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning.pytorch as L

from adaptive_dropout.tracking import decisions, read_run
from benchmarks.reliability.attempt import Outcome
from benchmarks.reliability.trained import loss_of, train, wrong

__all__ = ["attempt"]


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
    kinds = (_full_for_a_while, _full_to_the_end, _read_only, _vanished, _snapshots_vanished, _shared)
    for kind in kinds:
        place = folder / kind.__name__
        place.mkdir()
        try:
            found, told = kind(place, draw)
        except BaseException as error:
            found, told = [f"raised {type(error).__name__}: {error}"], False
        failures += [f"{kind.__name__[1:].replace('_', ' ')}: {line}" for line in found][:1]
        announced += told and not found
    return Outcome(len(kinds), tuple(failures), announced)


def _full_for_a_while(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    begin = draw.randrange(1, 8)
    with _limit() as (fill, free), _warned() as said:
        control = train(folder, [At({begin: fill, draw.randrange(begin + 1, 12): free})])
        free()
    return wrong(read_run(folder), _run(control), loss_of(control.weights)) + _told(said, "not written", 1), False


def _full_to_the_end(folder: Path, draw: random.Random) -> tuple[list[str], bool]:
    with _limit() as (fill, free), _warned() as said:
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


@contextmanager
def _limit() -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Give a function that lets no file grow any further, as on a full disk, and one that ends it."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        yield (
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1])),
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
