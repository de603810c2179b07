"""Run files of someone else: ``decisions.jsonl``, W&B's own file, ``config.yaml`` beside them."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import accumulate
from pathlib import Path

from adaptive_dropout.cli import main
from adaptive_dropout.cli.report.reported import Reported
from adaptive_dropout.controllers import (
    Clip,
    RestartController,
    controller_from_dict,
    controller_to_dict,
    state_to_dict,
)
from adaptive_dropout.controllers.base import update_safely
from adaptive_dropout.tracking import Decision, Run, read_run, replay
from adaptive_dropout.tracking.names import TRACE
from adaptive_dropout.tracking.summary import decisions_table, run_summary
from benchmarks.reliability.hostile.feeding import Case
from benchmarks.reliability.hostile.spoiling import spoil, spoil_tree
from benchmarks.reliability.signal_logs import signal_log

__all__ = ["CASES"]

RATES = {"conv": 0.2, "fc.1": 0.4}
JSON = (
    None, True, -1, 0, 2**53 + 1, 2**63, 10**400, 1e308, 5e-324, "", "nan", "1e999", "\x1b[2J\u202e", "x" * 10_000, [],
    {}, {"class_path": "os.system", "init_args": {}},
)  # fmt: skip
CONFIG = """\
model:
  class_path: adaptive_dropout.tasks.Classifier
  init_args: {num_classes: 10, network: {class_path: adaptive_dropout.networks.MLP, init_args: {hidden: [512, 512]}}}
data: &data {class_path: adaptive_dropout.data.Digits, init_args: {n_train: 500}}
trainer: {max_epochs: 60, again: *data}
"""


@cache
def recorded() -> Run:
    """Return a run of forty decisions with a wrapper, restarts and rewinds in it."""
    controller = Clip(RestartController(), high=0.8)
    log = [
        {name: value for name, value in signals.items() if isinstance(value, (int, float))}
        for signals in signal_log(random.Random(3), list(RATES), 40)
    ]
    log = [signals | {"step": 10 * (number + 1), "total_steps": 400} for number, signals in enumerate(log)]
    states = list(accumulate(log, lambda s, seen: update_safely(controller, s, seen), initial=controller.init(RATES)))
    decisions = [
        Decision(int(seen["step"]), seen, before.rates, s.rates, s.improved, s.rewind, s.restart, s.reason)
        for seen, before, s in zip(log, states, states[1:], strict=False)
    ]
    return Run("run", controller_to_dict(controller), "val_loss", RATES, state_to_dict(states[0]), 0, decisions)


def write_lines(rng: random.Random, folder: Path) -> None:
    """Write ``decisions.jsonl`` with spoilt bytes, or with spoilt values in one of its lines."""
    lines = recorded().lines()[: rng.choice([1, 5, 41])]
    if rng.random() < 0.5:
        place = rng.choice([0, 0, rng.randrange(len(lines))])
        lines[place] = json.dumps(spoil_tree(rng, json.loads(lines[place]), JSON))
        data = "\n".join(lines).encode()
    else:
        data = spoil(rng, "\n".join(lines).encode())
    (folder / "decisions.jsonl").write_bytes(data)


def write_wandb(rng: random.Random, folder: Path) -> None:
    """Write a spoilt file of W&B's."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    data = bytearray(b":W&B\xe1\xbe\x00")
    for line in recorded().lines():
        record = Record()
        item = record.history.item.add()
        item.key, item.value_json = TRACE, json.dumps(line)
        content, kind = record.SerializeToString(), 1
        while content or kind == 1:
            left = 32768 - len(data) % 32768
            if left < 7:
                data += bytes(left)
                continue
            piece, content = content[: left - 7], content[left - 7 :]
            kind = (4 if kind in (2, 3) else 1) if not content else (3 if kind in (2, 3) else 2)
            data += bytes(4) + len(piece).to_bytes(2, "little") + bytes([kind]) + piece
            if not content:
                break
    (folder / "run-x.wandb").write_bytes(spoil(rng, bytes(data)))


def write_config(rng: random.Random, folder: Path) -> None:
    """Write a good run and a spoilt configuration; some make much of little by naming it again and again."""
    (folder / "decisions.jsonl").write_text("\n".join(recorded().lines()[:3]))
    data = spoil(rng, CONFIG.encode())
    if rng.random() < 0.05:
        laughs = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)]
        data = b"a0: &a0 lol\n" + "".join(laughs).encode() + b"data: *a11\nmodel: *a11\n"
    elif rng.random() < 0.003:
        data = b"a: [" + b"1, " * (2**20 // 3 - 10) + b"1]\n"
    (folder / "config.yaml").write_bytes(data)


def read(folder: Path) -> None:
    """Read the run in ``folder`` and do with it what the commands do, up to the figures."""
    run = read_run(folder)
    decisions_table(run)
    run.history()
    run_summary(run, 1.0)
    Reported.of("a", run, folder, []).facts()
    try:
        replay(run, controller_from_dict(run.controller))
    except (ValueError, TypeError, KeyError) as error:  # `adaptive-dropout replay` names the file
        raise ValueError(f"{folder}: {' '.join(str(error).split())[:500]}") from None


def command(name: str) -> Case:
    """Return a command of the command line as a reader."""

    def run(folder: Path) -> None:
        code = main(["--quiet", name, str(folder), "-o", str(folder / "figure.png")])
        assert code in (0, 2), f"exit code {code}"

    return Case(f"adaptive-dropout {name}", write_lines, run)


ERRORS = (ValueError, FileNotFoundError)
CASES = [Case("decisions.jsonl", write_lines, read, ERRORS)] * 300
CASES += [Case("run-x.wandb", write_wandb, read, ERRORS)] * 120
CASES += [Case("config.yaml", write_config, read, ERRORS)] * 40
CASES += [command("replay"), command("report")]
