"""What a checkpoint holds of this library: snapshots, the state of a control, histories, orders, cross-validations."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from torch import nn

import adaptive_dropout as ad
from adaptive_dropout.cli.tune.trials import Trials
from adaptive_dropout.data import Digits, Text
from adaptive_dropout.steering import ControlLoop, Snapshot
from adaptive_dropout.tracking import History, Point
from benchmarks.reliability.hostile.feeding import Case
from benchmarks.reliability.hostile.spoiling import HARMFUL, spoil, spoil_tree

__all__ = ["CASES"]

TENSORS = (*HARMFUL, torch.zeros(2), torch.full((3, 3), torch.nan), torch.zeros(0), torch.ones(2, 2, dtype=torch.int8))
SIGNALS = {"step": 30, "total_steps": 100, "train_loss": 0.5, "val_loss": 0.7, "clean_loss": 0.4, "gap_z": 3.0}


def _model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), ad.Dropout(0.3))


def _trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = _model()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return model, optimizer


def read_snapshot(folder: Path, spoil_it: Any) -> None:
    """Take a snapshot, spoil its file, restore, and take a step."""
    model, optimizer = _trained()
    snapshot = Snapshot(model, optimizer, folder=folder)
    snapshot.take()
    spoil_it(folder / "snapshot.pt")
    snapshot.restore()
    optimizer.step()


def _seeded(folder: Path) -> random.Random:
    return random.Random((folder / "seed").read_text())


def write_seed(rng: random.Random, folder: Path) -> None:
    """Leave a seed: what is spoilt is made when it is read."""
    (folder / "seed").write_text(str(rng.random()))


def read_bytes(folder: Path) -> None:
    """Restore a snapshot whose file has spoilt bytes."""
    rng = _seeded(folder)
    read_snapshot(folder, lambda file: file.write_bytes(spoil(rng, file.read_bytes())))


def read_values(folder: Path) -> None:
    """Restore a snapshot whose file has spoilt values."""
    rng = _seeded(folder)

    def exchange(file: Path) -> None:
        torch.save(spoil_tree(rng, torch.load(file, weights_only=True), TENSORS), file)

    read_snapshot(folder, exchange)


def read_loop(folder: Path) -> None:
    """Resume a control from a spoilt checkpoint, decide once, and save it again."""
    rng = _seeded(folder)
    rule = rng.choice([ad.RestartController, ad.HypergradientController, ad.PlateauController, ad.GapController])()
    loops = [ControlLoop(rule, _model(), warn=lambda line: None) for _ in range(2)]
    signals = SIGNALS | {f"hypergradient/{name}": 0.01 for name in loops[0].state.rates}
    for step in (10, 20):
        loops[0].decide(signals | {"step": step})
    loops[1].load_state_dict(spoil_tree(rng, loops[0].state_dict(), TENSORS))
    loops[1].before_step()
    loops[1].decide(signals)
    loops[1].finish()
    loops[1].run.lines()


def read_history(folder: Path) -> None:
    """Read a spoilt history of rates."""
    history = History([Point(step, {"a": 0.1, "b": 0.2}, 1.0, 2.0) for step in range(5)])
    history.load_state_dict(spoil_tree(_seeded(folder), history.state_dict()))
    history.summary()


def read_order(folder: Path) -> None:
    """Continue a spoilt sequence of training orders."""
    rng = _seeded(folder)
    (folder / "x.txt").write_text("abc" * 500)
    data = rng.choice([lambda: Digits(), lambda: Text(folder / "x.txt", context=8)])()
    data.load_state_dict(spoil_tree(rng, data.state_dict(), TENSORS))


def write_trial(rng: random.Random, folder: Path) -> None:
    """Write a spoilt result of one fold."""
    Trials(folder, "a: 1\n").put(0.1, 0, 0.5)
    file = folder / "p-0.1-fold-0.json"
    file.write_bytes(spoil(rng, file.read_bytes()))


CASES = [
    Case("snapshot.pt, bytes", write_seed, read_bytes, (RuntimeError, ValueError), located=False),
    Case("snapshot.pt, values", write_seed, read_values, (RuntimeError, ValueError), located=False),
    Case("control", write_seed, read_loop, (ValueError,), located=False),
    Case("history", write_seed, read_history, (ValueError, TypeError), located=False),
    Case("training order", write_seed, read_order, (ValueError,), located=False),
    Case("result of a fold", write_trial, lambda folder: Trials(folder, "a: 1\n").get(0.1, 0)),
]
