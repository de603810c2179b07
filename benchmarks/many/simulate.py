"""Train many runs of one task at once, fixed rates and rules side by side, as `benchmarks.control` trains each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adaptive_dropout.controllers import Controller
from adaptive_dropout.controllers.base import State, update_safely
from adaptive_dropout.networks import MLP
from adaptive_dropout.signals import CleanLoss
from benchmarks.control.study_task import VALIDATIONS, ArrayTask
from benchmarks.many.networks import Networks, Optimizer, Snapshot, gaussian_losses, label_losses

__all__ = ["KEPT", "Planned", "Result", "is_simulated", "simulate"]

PARTS = 8  # of validation data
KEPT = 5  # batches of training data, for the clean loss


@dataclass(frozen=True)
class Planned:
    """One run: its seed, where its rates start, and what moves them; None leaves them."""

    name: str
    seed: int
    start: float
    controller: Controller | None = None


@dataclass
class Result:
    """What came of a run; ``path`` is its mean rate after each validation, ``undone`` the steps that it went back."""

    planned: Planned
    val_loss: float
    test_loss: float
    final_rate: float
    rewinds: int
    path: list[float]
    undone: float


def is_simulated(task: ArrayTask) -> bool:
    """Return whether the task's network is an `MLP`; the others are not made of dense layers alone."""
    try:
        return isinstance(task.network(8, task.classes or 2, nn.Identity), MLP)
    except (ValueError, RuntimeError):  # a network of images, which have other sizes
        return False


def simulate(task: ArrayTask, folder: Path | None, planned: Sequence[Planned], device: str) -> list[Result]:
    """Train all runs and test each with the weights of its lowest validation loss."""
    seeds = sorted({run.seed for run in planned})
    torch.manual_seed(0)
    data = [_read(task, folder, seed) for seed in seeds]
    networks = {seed: _network(task, one["train"][0], seed) for seed, one in zip(seeds, data, strict=True)}
    which = torch.tensor([seeds.index(run.seed) for run in planned], device=device)
    stacked = Networks([networks[run.seed] for run in planned], device)
    theirs = task.fitting.optimizer([nn.Parameter(torch.zeros(()))])  # a throw-away one shows the settings
    kind = "sgd" if isinstance(theirs, torch.optim.SGD) else "adam"
    optimizer = Optimizer(stacked, kind, float(theirs.defaults["lr"]))
    return _Simulation(task, planned, data, which, stacked, optimizer, device).run()


class _Simulation:
    def __init__(
        self, task: ArrayTask, planned: Sequence[Planned], data: list[dict[str, Any]], which: Tensor,
        networks: Networks, optimizer: Optimizer, device: str,
    ) -> None:  # fmt: skip
        self.task, self.planned, self.which, self.networks, self.optimizer = task, planned, which, networks, optimizer
        self.device = device
        self.losses = label_losses if task.classes else gaussian_losses
        self.sets = {name: self._stack(data, name) for name in ("train", "val", "test")}
        self.order = torch.stack([one["order"] for one in data]).to(device)  # (seeds, steps, batch)
        layers = len(networks.tensors) // 2 - 1
        names = [f"dropout{number + 1}" for number in range(layers)]
        self.rates = [dict.fromkeys(names, run.start) for run in planned]
        self.states: list[State | None] = [
            None if run.controller is None else run.controller.init(rates)
            for run, rates in zip(planned, self.rates, strict=True)
        ]
        self.clean = [CleanLoss() for _ in planned]
        self.first = Snapshot(networks, optimizer)
        self.best = Snapshot(networks, optimizer)
        self.lowest = [math.inf] * len(planned)
        self.rewinds = [0] * len(planned)
        self.paths: list[list[float]] = [[] for _ in planned]
        self.undone = [0.0] * len(planned)
        self.seen_at = [0] * len(planned)

    def _stack(self, data: list[dict[str, Any]], name: str) -> tuple[Tensor, Tensor]:
        n = min(len(one[name][1]) for one in data)
        return tuple(torch.stack([one[name][part][:n] for one in data]).to(self.device) for part in (0, 1))  # type: ignore[return-value]

    def run(self) -> list[Result]:
        every = self.task.fitting.every
        trivial = self._kept_losses()
        for window in range(VALIDATIONS):
            if self.task.fitting.lr_scheduler is not None:
                self.optimizer.lr_scale = (1 + math.cos(math.pi * window / VALIDATIONS)) / 2
            trained = self._train(window * every, every)
            self._decide((window + 1) * every, trained, trivial)
        tests = self._test()
        return [
            Result(run, self.lowest[i], tests[i], self.paths[i][-1], self.rewinds[i], self.paths[i], self.undone[i])
            for i, run in enumerate(self.planned)
        ]

    def _train(self, begin: int, every: int) -> Tensor:
        p = torch.tensor([list(rates.values()) for rates in self.rates], device=self.device)
        x, y = self.sets["train"]
        rows = torch.arange(len(x), device=self.device)[:, None]
        losses = []
        for step in range(begin, begin + every):
            index = self.order[:, step]
            batch_x, batch_y = x[rows, index][self.which], y[rows, index][self.which]
            each = self.losses(self.networks.outputs(batch_x, p), batch_y).mean(1)
            self.optimizer.step(torch.autograd.grad(each.sum(), self.networks.tensors))
            losses.append(each.detach())
        return torch.stack(losses, 1)

    @torch.no_grad()
    def _kept_losses(self) -> Tensor:
        x, y = self.sets["train"]
        rows = torch.arange(len(x), device=self.device)[:, None]
        index = self.order[:, :KEPT].flatten(1)
        losses = self.losses(self.networks.outputs(x[rows, index][self.which]), y[rows, index][self.which])
        return losses.unflatten(1, (KEPT, -1)).mean(2)

    @torch.no_grad()
    def _set_losses(self, name: str) -> tuple[Tensor, list[int]]:
        x, y = self.sets[name]
        size = math.ceil(x.shape[1] / PARTS)
        means, sizes = [], []
        for begin in range(0, x.shape[1], size):
            part_x, part_y = x[:, begin : begin + size], y[:, begin : begin + size]
            piece = max(1, 2_000_000 // (part_x.shape[1] * max(x.shape[2], 256) // 64))  # runs at a time
            found = []
            for run in range(0, len(self.planned), piece):
                few = _Slice(self.networks, run, run + piece)
                these = self.which[run : run + piece]
                found.append(self.losses(few.outputs(part_x[these]), part_y[these]).mean(1))
            means.append(torch.cat(found))
            sizes.append(part_x.shape[1])
        return torch.stack(means, 1), sizes

    def _decide(self, step: int, trained: Tensor, trivial: Tensor) -> None:
        vals, sizes = self._set_losses("val")
        kept = self._kept_losses()
        weights = torch.tensor(sizes, dtype=vals.dtype, device=vals.device) / sum(sizes)
        count = trained.shape[1]
        errors = trained.std(1) / math.sqrt(count)
        columns = [
            (vals * weights).sum(1, True),
            trained.mean(1, True),
            errors[:, None],
            trivial.mean(1, True),
            vals,
            kept,
        ]
        numbers = torch.cat(columns, 1).double().cpu().tolist()
        total = self.task.fitting.steps
        improved, rewound, restarted = [], [], []
        for i, row in enumerate(numbers):
            val_loss, controller, state = row[0], self.planned[i].controller, self.states[i]
            better = val_loss < self.lowest[i]
            if controller is None or state is None:
                if better:
                    self.lowest[i] = val_loss
                    improved.append(i)
                self.paths[i].append(self.planned[i].start)
                continue
            signals = {
                "step": step, "total_steps": total, "epoch": step // self.task.fitting.every - 1, "val_loss": val_loss,
                "train_loss": row[1], "train_loss_error": row[2],
            }  # fmt: skip
            if math.isfinite(val_loss):
                signals |= self.clean[i].signals(row[4 + len(sizes) :], row[4 : 4 + len(sizes)])
                signals["trivial_loss"] = row[3]
            state = self.states[i] = update_safely(controller, state, signals)
            if better:
                self.lowest[i] = val_loss
                improved.append(i)
            if state.improved:
                self.clean[i].mark()
                self.seen_at[i] = step
            if state.rewind:
                rewound.append(i)
                self.undone[i] += step - self.seen_at[i]
                self.seen_at[i] = step
            if state.restart:
                restarted.append(i)
            self.rewinds[i] += state.rewind or state.restart
            self.rates[i] = dict(state.rates)
            self.paths[i].append(sum(state.rates.values()) / len(state.rates))
        for indices, act in ((improved, self.best.take), (rewound, self.best.restore), (restarted, self.first.restore)):
            if indices:
                act(torch.tensor(indices, device=self.device))

    def _test(self) -> list[float]:
        self.best.restore(torch.arange(len(self.planned), device=self.device))
        means, sizes = self._set_losses("test")
        weights = torch.tensor(sizes, dtype=means.dtype, device=means.device) / sum(sizes)
        return [float(loss) for loss in (means * weights).sum(1).cpu()]


class _Slice(Networks):
    """Some of the networks."""

    def __init__(self, networks: Networks, begin: int, end: int) -> None:
        self.tensors = [tensor[begin:end] for tensor in networks.tensors]


def _read(task: ArrayTask, folder: Path | None, seed: int) -> dict[str, Any]:
    """Return the three sets and the order of the training examples, (steps, batch)."""
    data = task.data(folder, seed)
    data.setup("fit")
    sets = {
        name: part.__getitems__(list(range(len(part))))
        for name, part in (("train", data.train_set), ("val", data.val_set), ("test", data.test_set))
    }
    order = torch.Generator().manual_seed(seed)
    count, n = task.fitting.steps * task.fitting.batch_size, len(data.train_set)
    passes = [torch.randperm(n, generator=order) for _ in range(-(-count // n))]
    flat = {name: (x.flatten(1).float(), y if task.classes else y.float()) for name, (x, y) in sets.items()}
    return {**flat, "order": torch.cat(passes)[:count].reshape(-1, task.fitting.batch_size)}


def _network(task: ArrayTask, x: Tensor, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return task.network(x.shape[1], task.classes or 2, nn.Identity)
