"""Long and deep runs: what a decision costs in time and bytes, and whether what reads them stays fast.

``python -m benchmarks.reliability.long`` writes ``long.md``. The loop decides on made-up losses, without training in
between: what is timed is ours alone, in CPU time of the process. A training step is taken to last 10 ms.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.cli import main as command
from adaptive_dropout.plots import run_figure
from adaptive_dropout.steering import ControlLoop
from adaptive_dropout.tracking import Decision, read_run
from adaptive_dropout.tracking.names import decision_metrics
from adaptive_dropout.tracking.summary import decisions_table
from benchmarks.report.markdown import table
from benchmarks.study.cells import find_commit, find_machine
from benchmarks.study.place import here

__all__ = ["Shape", "main", "measure"]

STEP = 0.01  # seconds of a training step
SHARE = 0.01  # of it that the callback may take


@dataclass(frozen=True)
class Shape:
    """How deep and how long a run is."""

    layers: int
    decisions: int
    apart: bool = False
    """Whether each layer moves by itself at each decision, which nothing can make small."""

    @property
    def words(self) -> str:
        """The shape in words."""
        apart = ", each by itself" if self.apart else ""
        return f"{self.layers:,} layers{apart} x {self.decisions:,} decisions"


SHAPES = (Shape(1000, 1000), Shape(2, 100_000), Shape(1000, 300, apart=True))
BOUNDS = {
    "the last tenth of the decisions takes, of the first tenth's time": 2.0,
    "seconds of read_run": 10.0,
    "seconds of a figure": 10.0,
    "seconds of report": 10.0,
    "seconds of replay": 10.0,
    "seconds of the table for W&B": 10.0,
}


@dataclass(frozen=True)
class Apart(ad.Controller):
    """Draws each rate anew."""

    def init(self, rates: Any) -> ad.State:
        """Return the rates."""
        return ad.State(rates)

    def update(self, state: ad.State, signals: Any) -> ad.State:
        """Return other rates."""
        draw = random.Random(int(signals["step"]))
        return ad.State({name: 0.9 * draw.random() for name in state.rates})


def measure(shape: Shape, folder: Path) -> dict[str, float]:
    """Make all decisions of a run and return what they cost, by name."""
    model = nn.ModuleDict({f"blocks_{number}": nn.Sequential(ad.Dropout(0.2)) for number in range(shape.layers)})
    loop = ControlLoop(Apart() if shape.apart else ad.RestartController(), model)
    loop.record_in(folder)
    before, seconds, old = _resident(), [], 0
    for signals in _signals(shape.decisions):
        began = time.process_time()
        loop.before_step()
        state = loop.decide(signals)
        decision_metrics(state, signals, ())
        seconds.append(time.process_time() - began)
        old += len(json.dumps(_whole(loop.run.decisions[-1])))
    tenth = max(shape.decisions // 10, 1)
    grown, saved = _resident() - before, io.BytesIO()
    began = time.process_time()
    torch.save(loop.json_dict(), saved)
    saving = time.process_time() - began
    loop.close()
    size = (folder / "decisions.jsonl").stat().st_size
    found = {
        "ms of a decision": 1e3 * median(seconds),
        "steps of 10 ms between validations from which that is under 1 %": sum(seconds) / len(seconds) / STEP / SHARE,
        "the last tenth of the decisions takes, of the first tenth's time": sum(seconds[-tenth:])
        / sum(seconds[:tenth]),
        "bytes of memory a decision": grown / shape.decisions,
        "bytes of decisions.jsonl a decision": size / shape.decisions,
        "of that with all rates before and after": size / old,
        "bytes of a checkpoint a decision": saved.tell() / shape.decisions,
        "seconds of a checkpoint": saving,
    }
    return found | _read(folder, loop, apart=shape.apart)


def _read(folder: Path, loop: ControlLoop, apart: bool) -> dict[str, float]:
    run = read_run(folder)
    commands = ["report"] if apart else ["report", "replay"]  # a file that names a class of ours is not replayed
    jobs: dict[str, Callable[[], object]] = {
        "read_run": lambda: read_run(folder),
        "a figure": lambda: run_figure(run.history(), "", run.rewinds(), run.restarts()).savefig(io.BytesIO(), dpi=150),
        **{name: lambda name=name: _quietly(name, folder) for name in commands},  # type: ignore[misc]
        "the table for W&B": lambda: decisions_table(loop.run),
    }
    found = {}
    for name, job in jobs.items():
        began = time.process_time()
        job()
        found[f"seconds of {name}"] = time.process_time() - began
    return found | {"MB of the report": (folder / "report.out").stat().st_size / 1e6}


def _quietly(name: str, folder: Path) -> None:
    with redirect_stdout(io.StringIO()):
        assert command([name, str(folder), "-o", str(folder / f"{name}.{'out' if name == 'report' else 'png'}")]) == 0


def _signals(count: int) -> Iterator[dict[str, float]]:
    draw = random.Random(0)
    for number in range(count):
        loss = 1 / (1 + number % 200) + 0.3 * draw.random()
        yield {
            "train_loss": 0.9 * loss, "val_loss": loss, "clean_loss": 0.8 * loss, "gap_z": draw.gauss(0, 3),
            "clean_drop_z": draw.gauss(0, 3), "trivial_loss": 3.0, "step": 10 * (number + 1),
            "total_steps": 10 * count, "epoch": number,
        }  # fmt: skip


def _whole(decision: Decision) -> dict[str, Any]:
    """The decision as 0.1 stored it."""
    return {name: value for name, value in vars(decision).items() if name not in ("controller", "forgot")}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Measure all shapes and write the page; 1 if a bound is broken."""
    parser = argparse.ArgumentParser("python -m benchmarks.reliability.long", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("long.md"))
    options = parser.parse_args()
    found = {}
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            found[shape] = measure(shape, Path(folder))
        print(shape.words, found[shape], flush=True)
    names = dict.fromkeys(name for each in found.values() for name in each)
    rows = [
        (name, *(f"{each[name]:.3g}" if name in each else "" for each in found.values()),
         f"at most {BOUNDS[name]:g}" if name in BOUNDS else "")
        for name in names
    ]  # fmt: skip
    broken = [
        f"{shape.words}: {name} {each[name]:.3g}"
        for shape, each in found.items() for name, bound in BOUNDS.items() if each.get(name, 0.0) > bound
    ]  # fmt: skip
    place = here()
    lines = [
        "# Long and deep runs", "", *(f"- not held: {line}" for line in broken), *([""] if broken else []),
        *table(("", *(shape.words for shape in found), "bound"), rows), "",
        f"CPU seconds of one process. {place.versions}; {find_machine()}; commit {find_commit()}.",
    ]  # fmt: skip
    options.out.write_text("\n".join(lines) + "\n")
    return int(bool(broken))


if __name__ == "__main__":
    raise SystemExit(main())
