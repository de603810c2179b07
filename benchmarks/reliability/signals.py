"""SIGINT and SIGTERM at random times, and inside of a decision, a line, a snapshot and a restore.

Lightning ends a fit with the code 1 after SIGINT. After SIGTERM it raises a SystemExit without a code when the batch
ends.
What is looked at is the checkpoint that is written on the exception, and the file of decisions.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import OnExceptionCheckpoint

from adaptive_dropout.steering.rewinder import Rewinder
from adaptive_dropout.steering.snapshot import Snapshot
from adaptive_dropout.tracking import Run, read_run
from adaptive_dropout.tracking.decisions import DecisionsFile
from benchmarks.reliability.attempt import Outcome
from benchmarks.reliability.trained import loss_of, train, wrong

__all__ = ["attempt"]

CODES = {signal.SIGINT: 1, signal.SIGTERM: 0}
PLACES: dict[str, tuple[type, str]] = {
    "a line": (DecisionsFile, "add"), "a snapshot": (Snapshot, "_keep"), "a restore": (Rewinder, "restore"),
}  # fmt: skip
TIMES = 4  # at which signals are sent at random, in an attempt


def attempt(seed: int, folder: Path) -> Outcome:
    """Send both signals at each place, and at times that ``seed`` draws."""
    draw, failures, times = random.Random(seed), [], 0
    for number in CODES:
        for where in (*PLACES, *range(TIMES)):
            place = folder / f"{number}-{where}"
            place.mkdir()
            times += 1
            found = _harmed(place, number, where, draw.randrange(1, 6), draw.uniform(0.05, 0.6))
            failures += [f"{number.name} in {where}: {line}" for line in found][:1]
    return Outcome(times, tuple(failures))


def _harmed(folder: Path, number: signal.Signals, where: str | int, call: int, after: float) -> list[str]:
    process = multiprocessing.get_context("fork").Process(target=_train, args=(folder, number, where, call, after))
    process.start()
    process.join(120)
    if process.is_alive():
        process.kill()
        process.join()
        return ["it did not end within two minutes"]
    if process.exitcode != CODES[number]:
        return [f"exit code {process.exitcode}, not {CODES[number]}"]
    saved = torch.load(folder / "on_exception.ckpt", weights_only=True)
    (kept,) = (state["loop"] for name, state in saved["callbacks"].items() if name.startswith("AdaptiveDropout"))
    made = Run.from_dict(kept["run"])
    best = kept["snapshots"]["best"]["tensors"]
    return wrong(read_run(folder), made, loss_of({name.removeprefix("net."): t for name, t in best.items()}))


def _train(folder: Path, number: signal.Signals, where: str | int, call: int, after: float) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a command in the background inherits that it is ignored
    for stream in (1, 2):
        os.dup2(os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    if isinstance(where, str):
        owner, name = PLACES[where]
        setattr(owner, name, _sending(getattr(owner, name), number, call if where != "a restore" else 1))
    else:
        threading.Thread(target=_send_later, args=(folder, number, after), daemon=True).start()
    on_exception = OnExceptionCheckpoint(folder)
    train(folder, [on_exception], epochs=100_000, enable_checkpointing=True)


def _send_later(folder: Path, number: signal.Signals, after: float) -> None:
    file = folder / "decisions.jsonl"
    while not file.exists() or file.read_bytes().count(b"\n") < 3:
        time.sleep(0.01)
    time.sleep(after)
    os.kill(os.getpid(), number)


def _sending(plain: Callable[..., Any], number: signal.Signals, at: int) -> Callable[..., Any]:
    """Return ``plain`` so that at one of its calls the signal comes before it, half-way through a decision."""
    calls = 0

    def run(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            os.kill(os.getpid(), number)
        return plain(*arguments)

    return run
