"""A small run of two processes, with all that may be interrupted: decisions, snapshots, restores, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, MaskPerReplica
from adaptive_dropout.callbacks.meters import measurement
from adaptive_dropout.controllers import State
from adaptive_dropout.networks import MLP
from adaptive_dropout.steering import rewinder, snapshot

__all__ = ["run"]

EPOCHS = 30

Strike = Callable[[str, dict[str, int]], None]


@dataclass(frozen=True)
class Turn(State):
    """Which decision comes next."""

    turn: int = 0


@dataclass(frozen=True)
class InTurn(ad.Controller):
    """Keeps the weights, moves the rates, rewinds and restarts in turn, whatever is measured."""

    def needs(self) -> frozenset[str]:
        """Ask for what costs most."""
        return frozenset({"snapshot", "clean_loss"})

    def init(self, rates: Mapping[str, float]) -> State:
        """Begin."""
        return Turn(dict(rates))

    def update(self, state: State, signals: Mapping[str, float]) -> State:
        """Do what is next."""
        assert isinstance(state, Turn)
        move = state.turn % 4
        rates = dict.fromkeys(state.rates, 0.1 + 0.05 * (state.turn % 7))
        return replace(state, rates=rates, improved=move == 0, rewind=move == 2, restart=move == 3, turn=state.turn + 1)


class Classifier(L.LightningModule):
    """Tells the harm where it is."""

    def __init__(self, folder: Path, strike: Callable[[str], None]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = MLP(20, 4, (32,), lambda: ad.Dropout(0.3))
        self.folder, self.strike = folder, strike

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the loss."""
        self.strike("training")
        (self.folder / "trains").touch()
        return cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Log the loss."""
        if not self.trainer.sanity_checking:
            self.strike("validation" if vars(self.trainer)["callbacks"] else "measurement")
        self.log("val_loss", cross_entropy(self.network(batch[0]), batch[1]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say that a checkpoint is being written."""
        self.strike("checkpoint")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), 0.01)


def run(folder: Path, timeout: timedelta, harm: Strike | None) -> None:
    """Train as the process that the environment says; ``harm`` is called at each place with the counts so far."""
    torch.set_num_threads(1)
    counts: dict[str, int] = {}

    def strike(place: str) -> None:
        if harm is not None:
            harm(place, counts)

    _call_before(measurement, "average", lambda: strike("decision"))
    _call_before(rewinder.Rewinder, "follow", lambda: strike("carrying out"))
    _call_before(snapshot.Snapshot, "take", lambda: strike("snapshot"))
    _call_before(snapshot, "write", lambda: strike("restore"))  # one tensor of it
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(192, 20, generator=draws)
    data = TensorDataset(x, x[:, :4].argmax(1))
    train, val = torch.utils.data.random_split(data, [128, 64], draws)
    trainer = L.Trainer(
        strategy=DDPStrategy(process_group_backend="gloo", timeout=timeout), accelerator="cpu", devices=2,
        max_epochs=EPOCHS, default_root_dir=folder, logger=False, enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[AdaptiveDropout(InTurn()), MaskPerReplica(), ModelCheckpoint(folder, save_last=True)],
    )  # fmt: skip
    trainer.fit(Classifier(folder, strike), DataLoader(train, 16, shuffle=True), DataLoader(val, 16))
    print("trained", flush=True)


def _call_before(owner: Any, name: str, call: Callable[[], None]) -> None:
    inner = getattr(owner, name)

    def called(*arguments: Any, **named: Any) -> Any:
        call()
        return inner(*arguments, **named)

    setattr(owner, name, called)
