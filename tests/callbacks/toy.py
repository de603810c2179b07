"""A small Lightning run whose losses are known in advance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader

import adaptive_dropout as ad


class Memory(Logger):
    """A logger that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, dict[str, float]]] = []

    @property
    def name(self) -> str:
        return "memory"

    @property
    def version(self) -> str:
        return "0"

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append((int(step or 0), dict(metrics)))

    def series(self, name: str) -> list[tuple[int, float]]:
        return [(step, row[name]) for step, row in self.rows if name in row]


class Toy(L.LightningModule):
    """Training loss n at batch n of the run; the validation losses are given."""

    def __init__(self, val_losses: list[float], layer: nn.Module | None = None) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)
        self.drop = ad.Dropout(0.3) if layer is None else layer
        self.val_losses = list(val_losses)
        self.batches = 0
        self.seen: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.seen.append(self.drop.p)
        self.batches += 1
        zero = 0.0 * self.drop(self.net(batch)).sum()
        self.log("train_loss", zero + self.batches)
        return zero + float(self.batches)

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val_loss", 99.0 if self.trainer.sanity_checking else self.val_losses[0])
        self.log("val_accuracy", 0.5)

    def on_validation_epoch_end(self) -> None:
        if not self.trainer.sanity_checking and len(self.val_losses) > 1:
            self.val_losses.pop(0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def loader(batches: int = 4) -> DataLoader[Tensor]:
    return DataLoader(torch.ones(batches, 1), batch_size=1, num_workers=0)


def fit(model: L.LightningModule, folder: Path, callbacks: list[L.Callback], **trainer: Any) -> L.Trainer:
    settings: dict[str, Any] = {
        "max_epochs": 3,
        "accelerator": "cpu",
        "default_root_dir": folder,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "logger": False,
        "log_every_n_steps": 1,
    }
    ckpt_path, batches = trainer.pop("ckpt_path", None), trainer.pop("batches", 4)
    run = L.Trainer(callbacks=callbacks, **settings | trainer)
    run.fit(model, loader(batches), loader(1), ckpt_path=ckpt_path)
    return run
