"""Generators in checkpoints: a run that is resumed draws what the unbroken one would, on every process."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl, DropoutRateScheduler, GeneratorCheckpoint
from adaptive_dropout.data import Examples, TensorDataModule
from tests.pairs import run_pair


class Data(TensorDataModule):
    """Sixteen examples in memory, in batches of four."""

    def examples(self) -> tuple[Examples, Examples, Examples]:
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
        return (Examples(x, x[:, :1]),) * 3


class Drawing(L.LightningModule):
    """Draws from each global generator in every step, and keeps what it drew."""

    def __init__(self, p: float | ad.CosineSchedule = 0.3) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), ad.Dropout(p), nn.Linear(8, 1))
        self.drawn: list[tuple[float, float, float]] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.drawn.append((random.random(), float(np.random.rand()), float(torch.rand(()))))
        return F.mse_loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", F.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.01)


class Save(L.Callback):
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.save(trainer, f"epoch {trainer.current_epoch}")

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self.save(trainer, f"batch {trainer.global_step}")

    def save(self, trainer: L.Trainer, name: str) -> None:
        trainer.save_checkpoint(f"{trainer.default_root_dir}/{name}.ckpt")


def fit(module: Drawing, folder: Path, callbacks: list[L.Callback], resumed: Path | None = None) -> L.Trainer:
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(9 if resumed else 1)
    trainer = L.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, num_sanity_val_steps=0, callbacks=callbacks,
    )  # fmt: skip
    trainer.fit(module, Data(batch_size=4), ckpt_path=resumed, weights_only=True)
    return trainer


CALLBACKS = {
    "controlled": lambda: [DropoutRateControl(ad.PlateauController())],
    "scheduled": lambda: [DropoutRateScheduler()],
    "all": lambda: [GeneratorCheckpoint(), DropoutRateControl(ad.PlateauController()), DropoutRateScheduler()],
    "generators": lambda: [GeneratorCheckpoint()],
}


@pytest.mark.parametrize("kind", CALLBACKS)
@pytest.mark.parametrize(("place", "left"), [("epoch 0", 8), ("batch 6", 6), ("epoch 2", 0)])
def test_each_generator_goes_on_from_a_checkpoint(tmp_path: Path, kind: str, place: str, left: int) -> None:
    def module() -> Drawing:
        torch.manual_seed(0)
        made = Drawing(ad.CosineSchedule(0.5, 0.1) if kind in ("scheduled", "all") else 0.3)
        if kind == "all":
            made.net.append(ad.Dropout(0.3))
        return made

    whole, rest = module(), module()
    fit(whole, tmp_path, [*CALLBACKS[kind](), Save()])
    after = random.random(), np.random.rand(), torch.rand(())
    fit(rest, tmp_path, CALLBACKS[kind](), tmp_path / f"{place}.ckpt")
    assert rest.drawn == whole.drawn[len(whole.drawn) - left :]
    assert (random.random(), np.random.rand(), torch.rand(())) == after
    assert all(map(torch.equal, rest.parameters(), whole.parameters()))
    assert ad.get_rates(rest) == ad.get_rates(whole)


def test_a_second_fit_of_the_same_callbacks_starts_its_schedule_anew(tmp_path: Path) -> None:
    scheduler = DropoutRateScheduler()
    fit(Drawing(ad.CosineSchedule(0.5, 0.1)), tmp_path, [scheduler])
    module, seen = Drawing(ad.CosineSchedule(0.5, 0.1)), []
    module.on_train_start = lambda: seen.append(ad.get_rates(module)["net.1"])
    fit(module, tmp_path, [scheduler])
    assert seen == [0.5]


def test_a_checkpoint_of_another_number_of_processes_is_said(tmp_path: Path) -> None:
    fit(Drawing(), tmp_path, [GeneratorCheckpoint(), Save()])
    checkpoint = torch.load(tmp_path / "epoch 0.ckpt", weights_only=True)
    checkpoint["generators"] *= 2
    torch.save(checkpoint, tmp_path / "two.ckpt")
    with pytest.warns(UserWarning, match="generators of 2 processes, and 1 go on: their noise is new"):
        fit(Drawing(), tmp_path, [GeneratorCheckpoint()], tmp_path / "two.ckpt")


SCRIPT = """
import json, os, sys
from pathlib import Path

import lightning.pytorch as L
import torch

import adaptive_dropout as ad
from adaptive_dropout.callbacks import DropoutRateControl, GeneratorCheckpoint
from tests.callbacks.test_generators import Data, Drawing, Save

rank, folder = int(sys.argv[1]), Path(sys.argv[2])
os.environ.pop("PL_GLOBAL_SEED", None)  # with it Lightning seeds all processes alike
os.environ |= {
    "MASTER_ADDR": "localhost", "MASTER_PORT": (folder / "port").read_text(), "WORLD_SIZE": "2", "NODE_RANK": "0",
    "LOCAL_RANK": str(rank),
}


def fit(resumed=None):
    torch.manual_seed(0)
    module = Drawing()
    torch.manual_seed(rank + (10 if resumed else 1))
    trainer = L.Trainer(
        max_epochs=3, accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder, num_sanity_val_steps=0,
        callbacks=[DropoutRateControl(ad.PlateauController()), GeneratorCheckpoint(), *([] if resumed else [Save()])],
    )
    trainer.fit(module, Data(batch_size=4), ckpt_path=resumed, weights_only=True)
    return [draws[2] for draws in module.drawn]


whole = fit()
rest = fit(folder / "epoch 0.ckpt")
(folder / f"rank{rank}.json").write_text(json.dumps({"whole": whole, "rest": rest}))
"""


@pytest.mark.slow
def test_each_process_goes_on_with_its_own_noise(tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as server:
        (tmp_path / "port").write_text(str(server.getsockname()[1]))
    first, second = run_pair(SCRIPT, tmp_path)
    assert first["whole"] != second["whole"]
    for each in (first, second):
        assert len(each["rest"]) == 4
        assert each["rest"] == each["whole"][2:]
