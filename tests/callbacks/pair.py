"""Two processes of Lightning on a CPU, each with data of its own, and what each of them saw."""

from __future__ import annotations

import json
import multiprocessing
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

import adaptive_dropout as ad

__all__ = ["Sized", "Stream", "Uneven", "fit_pair"]


class Stream(IterableDataset[Tensor]):
    """Gives ``values``, each an example, without saying how many there are."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def __iter__(self) -> Any:
        return iter(torch.tensor(self.values).view(-1, 1))


class Sized(Dataset[Tensor]):
    """Gives ``values``, each an example."""

    def __init__(self, values: list[float]) -> None:
        self.values = torch.tensor(values).view(-1, 1)

    def __getitem__(self, index: int) -> Tensor:
        return self.values[index]

    def __len__(self) -> int:
        return len(self.values)


class Uneven(L.LightningModule):
    """The loss of an example is its value; each process has the examples of its rank.

    It keeps the rates of each step, and what each decision was given.
    """

    def __init__(self, train: list[list[float]], val: list[list[float]], batch_size: int = 4) -> None:
        super().__init__()
        self.net, self.drop = nn.Linear(1, 1), ad.Dropout(0.3)
        self.train_values, self.val_values, self.batch_size = train, val, batch_size
        self.rates: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.rates.append(self.drop.p)
        noise: Tensor = self.drop(self.net(batch))
        return batch.mean() + 0.0 * noise.sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val_loss", batch.mean())

    def train_dataloader(self) -> Any:
        return DataLoader(Stream(self.train_values[self.global_rank]), batch_size=self.batch_size)

    def val_dataloader(self) -> Any:
        return DataLoader(Stream(self.val_values[self.global_rank]), batch_size=self.batch_size)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class _Keep(L.Callback):
    """Writes down what a process saw when its training ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[str] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: self.heard.append(str(message))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        run = trainer.callbacks[0].run
        seen = {
            "rates": pl_module.rates,
            "signals": [dict(decision.signals) for decision in run.decisions],
            "start": run.rates,
            "reasons": [decision.reason for decision in run.decisions],
            "warnings": self.heard,
        }
        (self.folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(seen))


def fit_pair(
    model: L.LightningModule, folder: Path, control: L.Callback, **settings: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train ``model`` in two processes and return what each saw; a process that waits for 20 seconds fails.

    They come from a server: a process that has run the backward pass of another device cannot be forked.
    """
    multiprocessing.set_forkserver_preload(["tests.callbacks.pair"])
    strategy = DDPStrategy(start_method="forkserver", process_group_backend="gloo", timeout=timedelta(seconds=20))
    plain: dict[str, Any] = {
        "strategy": strategy, "accelerator": "cpu", "devices": 2, "max_epochs": 3, "num_sanity_val_steps": 0,
        "logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False,
        "default_root_dir": folder, "use_distributed_sampler": False,
    }  # fmt: skip
    L.Trainer(callbacks=[control, _Keep(folder)], **plain | settings).fit(model)
    first, second = (json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1))
    return first, second
