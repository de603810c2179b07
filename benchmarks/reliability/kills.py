"""Kill runs with SIGKILL anywhere, resume them from their newest checkpoint, and compare with the unbroken run.

A run is killed at a random time, or at a random one of the places where it writes, restores or calls a hook: halfway
through the line of a decision, a checkpoint, a restore. The resumed run may be killed again.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import torch

from benchmarks.reliability.attempt import Outcome
from benchmarks.reliability.scenarios import SCENARIOS
from benchmarks.reliability.victim import ANNOUNCED, Plan, live

__all__ = ["attempt"]

KILLS = 8  # in an attempt
LONGEST = 120.0  # seconds of a run: far more than any takes


def attempt(seed: int, folder: Path) -> Outcome:
    """Kill the run of one scenario several times; some of the runs twice."""
    names = list(SCENARIOS)
    name, draw = names[seed % len(names)], random.Random(seed)
    began = time.monotonic()
    _run(name, seed, folder / "whole", Plan())
    took, whole = time.monotonic() - began, _read(folder / "whole")
    failures, kills, announced = [], 0, 0
    for number in itertools.count():
        if kills == KILLS:
            break
        broken, plans = folder / f"{number}", []  # one that is done before it is killed leaves its folder
        while kills < KILLS and (not plans or draw.random() < 0.3):
            plan = _plan(draw, took, whole["points"])
            if not _run(name, seed, broken, plan):
                break  # it was done before the time came
            plans.append(plan)
            kills += 1
        done = _run(name, seed, broken, Plan()) if plans and not (broken / "end.pt").exists() else False
        if not plans:
            continue
        said = ANNOUNCED in (broken / "output.txt").read_text()
        found = "still killed" if done else _difference(whole, _read(broken), said)
        if found and not (said and not SCENARIOS[name].exact and not found.startswith(LOST)):
            failures.append(f"{name}: {' then '.join(map(str, plans))}: {found}")
        else:
            announced += said and bool(found)
    return Outcome(kills, tuple(failures), announced)


LOST = "decisions lost or doubled"


def _plan(draw: random.Random, took: float, points: Mapping[str, int]) -> Plan:
    """Draw when to kill: in a third of the cases by the clock, else at a place; rare ones are as likely as others."""
    if draw.random() < 1 / 3:
        return Plan(after=draw.uniform(0, took))
    kind = draw.choice(sorted(points))
    return Plan(kind=kind, number=draw.randrange(points[kind]), part=draw.random())


def _run(name: str, seed: int, folder: Path, plan: Plan) -> bool:
    """Run, or go on with, a scenario in a process of its own; return whether it was killed."""
    folder.mkdir(exist_ok=True)
    process = _server().Process(target=live, args=(name, seed, folder, plan))
    process.start()
    process.join(LONGEST if plan.after is None else plan.after)
    if process.is_alive():
        if plan.after is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{name} runs for more than {LONGEST:g} s")
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{name} after {plan}: {(folder / 'output.txt').read_text()[-1500:]}")
    return process.exitcode != 0


@cache
def _server() -> ForkServerContext:
    """Return the maker of processes that have imported torch and Lightning already: a run takes a second or two."""
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    context = get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.reliability.victim"])
    return context


def _read(folder: Path) -> dict[str, Any]:
    end: dict[str, Any] = torch.load(folder / "end.pt", weights_only=True)
    path = folder / "log" / "version_0" / "decisions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for line in lines:
        line.pop("id", None)
    return end | {"decisions.jsonl": lines}


def _difference(whole: Mapping[str, Any], broken: Mapping[str, Any], said: bool) -> str:
    """Return in which parts the resumed run differs from the unbroken one, "" in none."""
    then, now = ([line.get("step") for line in run["decisions.jsonl"][1:]] for run in (whole, broken))
    if then != now:
        return f"{LOST}: at {now} in place of {then}"
    parts = [part for part in whole if part != "points" and not same(whole[part], broken[part])]
    return f"{', '.join(parts)} differ{'' if said else ' silently'}" if parts else ""


def same(a: Any, b: Any) -> bool:
    """Tell whether two nested values are the same to the last bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or a != a
