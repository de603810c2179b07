"""All kinds of harm, by name."""

from __future__ import annotations

from benchmarks.reliability import disks, kills, signals, uneven, updates, workers
from benchmarks.reliability.attempt import Kind
from benchmarks.reliability.hostile import checkpoints, data_files, run_files, settings
from benchmarks.reliability.hostile.feeding import attempt_of

__all__ = ["KINDS"]

READ_OR_REFUSED = "it is read, or refused in one line that says what is wrong, soon and in bounded memory"

KINDS: dict[str, Kind] = {
    "kills": Kind(
        "kills",
        "decisions, weights, rates, optimizer, state and generator are the unbroken run's, or it says what differs",
        kills.attempt,
        200,
    ),
    "updates": Kind(
        "updates",
        "rates are probabilities within their bounds, nothing that went in changes, and the state read back from JSON "
        "decides the same; a refusal names the signal",
        updates.attempt,
        1_000_000,
    ),
    "broken run files": Kind("inputs", READ_OR_REFUSED, attempt_of(run_files.CASES, 2_000), 45_000),
    "broken data files": Kind("inputs", READ_OR_REFUSED, attempt_of(data_files.CASES, 2_000), 40_000),
    "broken checkpoints": Kind("inputs", READ_OR_REFUSED, attempt_of(checkpoints.CASES, 2_000), 15_000),
    "broken settings": Kind("inputs", READ_OR_REFUSED, attempt_of(settings.CASES, 100), 500),
    "disks": Kind(
        "failures",
        "training goes on and ends with its best weights, each loss is one warning, and every decision is in the file "
        "where there is room for it at the end",
        disks.attempt,
        80,
    ),
    "signals": Kind(
        "signals",
        "the run ends with Lightning's exit code, the best weights are in the checkpoint that it writes then, and "
        "every decision is in the file",
        signals.attempt,
        112,
    ),
    "worker kills": Kind(
        "kills of one of two processes",
        "the other ends with a message within the time limit of its collectives, and never hangs",
        workers.attempt_kills,
        50,
    ),
    "worker freezes": Kind(
        "stops of one of two processes",
        "the other ends with a message within the time limit of its collectives, and never hangs",
        workers.attempt_freezes,
        10,
    ),
    "uneven ranks": Kind(
        "runs of two processes with unequal data",
        "equal rates at every step, decisions by the mean over all examples, no hang, one warning where none is made",
        uneven.attempt,
        40,
    ),
}
