"""Two processes with unequal data: unequal numbers of examples, none to validate on, losses that are missing or NaN."""

from __future__ import annotations

import json
import math
import multiprocessing
import random
from pathlib import Path
from typing import Any

from benchmarks.reliability.attempt import Outcome
from benchmarks.reliability.workers import LIMIT, free_port, join_pair, wait_for

__all__ = ["attempt", "train"]

RUNS, EPOCHS, BATCHES, SIZE = 4, 8, 4, 8


def attempt(seed: int, folder: Path) -> Outcome:
    """Make some runs with data drawn by the seed."""
    found = [_run(seed * RUNS + number, folder / str(number)) for number in range(RUNS)]
    return Outcome(RUNS, tuple(failure for failure in found if failure))


def draw_plan(number: int) -> dict[str, Any]:
    """Return what the processes of a run have: validation losses, sizes of training batches, and a rule."""
    draw = random.Random(number)
    sizes = [draw.randrange(1, 30), draw.choice((0, 0, 1, draw.randrange(1, 30)))]
    draw.shuffle(sizes)
    val = [[draw.gauss(1.0, 0.5) for _ in range(size)] for size in sizes]
    if draw.random() < 0.2 and val[0]:
        val[0][0] = math.nan
    train = [[draw.randrange(2, SIZE + 1) for _ in range(BATCHES)] for _ in range(2)]
    return {"val": val, "train": train, "rule": draw.choice(("restart", "rewind", "plateau", "gap"))}


def _run(number: int, folder: Path) -> str:
    """Return what should have been in a run of two processes and was not, or ""."""
    folder.mkdir()
    plan, port = draw_plan(number), free_port()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.reliability.uneven_run"])
    pair = [context.Process(target=train, args=(rank, port, folder, number)) for rank in range(2)]
    told = f"{plan['rule']}, {[len(val) for val in plan['val']]} validated"
    for process in pair:
        process.start()
    try:
        ended = wait_for(lambda: not any(process.is_alive() for process in pair), 120.0)
    finally:
        for process in pair:
            process.kill()
            process.join()
    words = [(folder / f"rank{rank}.txt").read_text() for rank in range(2)]
    if not ended or any(process.exitcode for process in pair):
        return f"{told}: {'ended with an error' if ended else 'hangs'}: {words[0][-200:]} {words[1][-200:]}"
    first, second = (json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2))
    return _compare(told, plan, first, second)


def _compare(told: str, plan: dict[str, Any], first: dict[str, Any], second: dict[str, Any]) -> str:
    if first["rates"] != second["rates"]:
        return f"{told}: the rates of the processes differ"
    values = [value for val in plan["val"] for value in val]
    expected = sum(values) / len(values)
    if len(first["val_losses"]) != EPOCHS:
        return f"{told}: {len(first['val_losses'])} decisions of {EPOCHS}"
    for loss in first["val_losses"]:
        if not (math.isclose(loss, expected, rel_tol=1e-5) or (math.isnan(loss) and math.isnan(expected))):
            return f"{told}: val_loss is {loss}, of one process with all data {expected}"
    if math.isnan(expected) and first["warnings"] != 1:
        return f"{told}: {first['warnings']} warnings of a loss that is not finite"
    return ""


def train(rank: int, port: int, folder: Path, number: int) -> None:
    """Be one of the two processes."""
    from benchmarks.reliability.uneven_run import run

    join_pair(rank, port, folder)
    run(folder, rank, draw_plan(number), LIMIT)
