"""`Kind`, one way to harm a run; `Outcome`, what became of one attempt at it; `Attempt`, its line in the results."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.study.cells import find_commit, find_machine
from benchmarks.study.place import here

__all__ = ["Attempt", "Kind", "Outcome", "attempt"]

SHOWN = 3  # failures of an attempt that are told in words


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt.

    Args:
        times: how many things were tried in it: kills, inputs, updates.
        failures: a line for each that was not survived: what was tried, what should have been, what was.
        announced: how many were survived with a difference that the run itself announced.
    """

    times: int
    failures: tuple[str, ...] = ()
    announced: int = 0


@dataclass(frozen=True)
class Kind:
    """One way to harm a run.

    Args:
        things: that are counted, in the plural: "kills", "inputs", "updates".
        survives: what counts as survived: "weights, rates and decisions are those of the unbroken run".
        attempt: tries it with a seed, in an empty folder; the same seed tries the same.
        enough: things to try, over all seeds, for a result.
    """

    things: str
    survives: str
    attempt: Callable[[int, Path], Outcome]
    enough: int


@dataclass(frozen=True)
class Attempt:
    """One line of the results.

    Args:
        kind: the name of the `Kind`.
        seed: of the attempt.
        times: things tried in it.
        survived: those of them that were survived.
        announced: those survived with a difference that the run announced.
        failures: what was not survived, the first three in words.
        seconds: it took.
        commit, versions, machine: where it was made.
    """

    kind: str
    seed: int
    times: int
    survived: int
    announced: int
    failures: str
    seconds: float
    commit: str
    versions: str
    machine: str


def attempt(name: str, kind: Kind, seed: int) -> Attempt:
    """Try ``kind`` with ``seed`` in a temporary folder; what raises is a failure of one thing."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        try:
            outcome = kind.attempt(seed, Path(folder))
        except Exception as error:
            outcome = Outcome(1, (f"the attempt itself raised {type(error).__name__}: {error}",))
    lost = len(outcome.failures)
    words = "; ".join(" ".join(failure.split()) for failure in outcome.failures[:SHOWN])
    return Attempt(
        name, seed, outcome.times, outcome.times - lost, outcome.announced, words,
        round(time.perf_counter() - began, 1), find_commit(), here().versions, find_machine(),
    )  # fmt: skip
