"""The process that is killed: it counts the places that it passes, ends itself at one, and leaves its end."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import lightning.pytorch as L
import torch
from lightning.fabric.plugins.io import torch_io
from lightning.pytorch.callbacks import Callback

from adaptive_dropout.callbacks import DropoutRateControl
from adaptive_dropout.rates import named_rates
from adaptive_dropout.steering.snapshot import Snapshot
from adaptive_dropout.tracking.decisions import DecisionsFile
from benchmarks.reliability.scenarios import SCENARIOS, trained

__all__ = ["ANNOUNCED", "Plan", "live"]

ANNOUNCED = "but not as the unbroken one"
HOOKS = (
    "on_train_start", "on_train_epoch_start", "on_train_batch_start", "on_before_backward", "on_train_batch_end",
    "on_validation_start", "on_validation_batch_end", "on_validation_end", "on_train_epoch_end", "on_train_end",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """When to kill a run; not at all by default.

    Args:
        after: seconds.
        kind: of place, with the ``number`` of times that it is passed before.
        part: of what is written there that is still written.
    """

    after: float | None = None
    kind: str = ""
    number: int = 0
    part: float = 0.0

    def __str__(self) -> str:
        return f"{self.after:.2f} s" if self.after is not None else f"{self.kind} {self.number} ({self.part:.2f})"


def live(name: str, seed: int, folder: Path, plan: Plan) -> None:
    """Run a scenario, or go on with it from its newest readable checkpoint."""
    torch.set_num_threads(1)
    output = (folder / "output.txt").open("a", buffering=1)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    sys.stdout = sys.stderr = output
    warnings.simplefilter("always")
    places = Places(plan)
    places.watch()
    trainer = trained(SCENARIOS[name], folder, seed, [places], _newest(folder / "checkpoints"))
    torch.save(_end(trainer) | {"points": dict(places.passed)}, folder / "end.tmp")
    (folder / "end.tmp").rename(folder / "end.pt")


class Places(Callback):
    """Counts the hooks, writes and restores of a run, and kills it at the one of the plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.passed: Counter[str] = Counter()
        for hook in HOOKS:
            setattr(self, hook, lambda *_, hook=hook, **__: self.here(hook) and _die())

    def here(self, kind: str) -> bool:
        """Count a place; tell whether the run ends at it."""
        self.passed[kind] += 1
        return (self.plan.kind, self.plan.number) == (kind, self.passed[kind] - 1)

    def watch(self) -> None:
        """Look at what writes and restores."""
        write, save, restore, load = DecisionsFile._write, torch_io._atomic_save, Snapshot.restore, torch.set_rng_state

        def write_or_die(file: DecisionsFile, *lines: str) -> None:
            if self.here("line"):
                text = "".join(f"{line}\n" for line in lines).encode()
                file._file.write(text[: int(self.plan.part * len(text))])
                _die()
            write(file, *lines)

        def save_or_die(checkpoint: dict[str, Any], path: str) -> None:
            if self.here("checkpoint"):
                buffer = BytesIO()
                torch.save(checkpoint, buffer)
                Path(path).parent.mkdir(exist_ok=True)
                # A process that is killed leaves what the disk got, as a torn file under the final name would be.
                Path(path).write_bytes(buffer.getvalue()[: int(self.plan.part * len(buffer.getvalue()))])
                _die()
            save(checkpoint, path)

        def restore_or_die(snapshot: Snapshot) -> None:
            if self.here("restore"):
                with torch.no_grad():
                    next(snapshot._model.parameters()).zero_()  # half done
                _die()
            restore(snapshot)

        def load_or_die(state: torch.Tensor) -> None:
            if self.here("generator"):
                _die()
            load(state)

        DecisionsFile._write, Snapshot.restore = write_or_die, restore_or_die  # type: ignore[method-assign]
        torch_io._atomic_save, torch.set_rng_state = save_or_die, load_or_die


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _newest(folder: Path) -> Path | None:
    """Return the newest checkpoint that can be read: one that was cut off cannot."""
    for path in sorted(folder.glob("*.ckpt"), key=lambda path: -int(path.stem.split("=")[1].split("-")[0])):
        try:
            torch.load(path, weights_only=True)
        except Exception:  # noqa: PERF203
            path.unlink()
        else:
            return path
    return None


def _end(trainer: L.Trainer) -> dict[str, Any]:
    """Return all that has to be the same."""
    model = trainer.lightning_module
    controls: list[Any] = [one for one in trainer.callbacks if isinstance(one, DropoutRateControl)]  # type: ignore[attr-defined]
    states = [control.state_dict() for control in controls]
    for state in states:
        state["loop"]["run"].pop("id")
        state["generators"].pop("epoch_ended")  # a run that is resumed from its end trains no epoch
    return {
        "step": trainer.global_step,
        "weights": model.state_dict(),
        "rates": {name: rate.p for name, rate in named_rates(model)},
        "optimizer": trainer.optimizers[0].state_dict(),
        "controller": states,
        "generator": torch.get_rng_state(),
    }
