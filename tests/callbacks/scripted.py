"""Small real runs on digits in which rewinds happen: as a script says, or as the default rule decides."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.controllers import State
from adaptive_dropout.data import Digits
from adaptive_dropout.networks import MLP
from adaptive_dropout.tasks import Classifier


@dataclass(frozen=True)
class Script(ad.Controller):
    """Does what is written for each validation: "i" improved, "r" rewind, "s" restart, "." nothing."""

    moves: str

    def needs(self) -> frozenset[str]:
        return frozenset({"snapshot"})

    def init(self, rates: Mapping[str, float]) -> State:
        return Turn(dict(rates))

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        assert isinstance(state, Turn)
        move = self.moves[state.turn]
        return replace(state, improved=move == "i", rewind=move == "r", restart=move == "s", turn=state.turn + 1)


@dataclass(frozen=True)
class Measuring(Script):
    """Has the clean loss measured at each validation as well, and remembers it."""

    def needs(self) -> frozenset[str]:
        return frozenset({"snapshot", "clean_loss"})

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        after = super().update(state, signals)
        assert isinstance(after, Turn)
        seen = {name: signals[name] for name in ("clean_loss", "clean_drop_z", "trivial_loss")}
        return replace(after, seen=(*after.seen, seen))


@dataclass(frozen=True)
class Turn(State):
    turn: int = 0
    seen: tuple[dict[str, float], ...] = field(default=())


class FewDigits(Digits):
    """128 digits to train on and 90 to validate on, read once for all runs."""

    def __init__(self, batch_size: int = 32) -> None:
        super().__init__(batch_size, n_train=128, val_fraction=0.05)

    def examples(self) -> Any:
        return _few_digits()


@functools.cache
def _few_digits() -> Any:
    return Digits(n_train=128, val_fraction=0.05).examples()


class Watch(L.Callback):
    """Keeps the weights and moments that training goes on with after each validation, and the batches."""

    def __init__(self) -> None:
        self.weights: list[torch.Tensor] = []
        self.moments: list[torch.Tensor] = []
        self.batches: list[torch.Tensor] = []
        self.lrs: list[float] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append(batch[1].clone())

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch:
            self.keep(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.keep(trainer, pl_module)

    def keep(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        first = next(pl_module.network.parameters())
        self.weights.append(first.detach().clone())
        state = trainer.optimizers[0].state.get(first, {})
        self.moments.append(state["exp_avg"].clone() if state else torch.zeros(()))
        self.lrs.append(trainer.optimizers[0].param_groups[0]["lr"])


def task(**settings: Any) -> Classifier:
    torch.manual_seed(3)
    return Classifier(MLP(64, 10, (32,), lambda: ad.Dropout(0.3)), 10, **settings)


def fit(model: L.LightningModule, folder: Path, callbacks: list[L.Callback], **settings: Any) -> L.Trainer:
    ckpt_path, batch_size = settings.pop("ckpt_path", None), settings.pop("batch_size", 32)
    quiet: dict[str, Any] = {
        "max_epochs": 5, "accelerator": "cpu", "default_root_dir": folder, "logger": False, "num_sanity_val_steps": 0,
        "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False,
    }  # fmt: skip
    trainer = L.Trainer(callbacks=callbacks, **quiet | settings)
    trainer.fit(model, FewDigits(batch_size), ckpt_path=ckpt_path)
    return trainer


class StopAfter(L.Callback):
    """Ends a run in the middle, as a kill would, after the checkpoint of that epoch."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 == self.epochs


def adaptive_run(folder: Path, *callbacks: L.Callback, **settings: Any) -> tuple[AdaptiveDropout, Classifier]:
    """Fast learning on little data: it overfits, and rewinds after the twelfth of 20 epochs."""
    torch.manual_seed(3)
    network = MLP(64, 10, (256, 256), lambda: ad.Dropout(0.05))
    model, adaptive = Classifier(network, 10, functools.partial(torch.optim.Adam, lr=0.01)), AdaptiveDropout()
    fit(model, folder, [adaptive, *callbacks], **{"max_epochs": 20} | settings)
    return adaptive, model
