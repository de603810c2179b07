"""`AdaptiveDropout` in a Lightning run on a device: it moves the rates, and no step of training waits for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateMonitor
from tests.callbacks.toy import Memory
from tests.gpu.waiting import forbid_waiting

EACH_STEP = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
             "on_before_optimizer_step", "on_train_batch_end")  # fmt: skip


class Noisy(L.LightningModule):
    """Learns random labels, so that validation falls behind training."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(32, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 4))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self.model(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def without_waiting(hook: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(hook)
    def guarded(*args: Any, **kwargs: Any) -> None:
        with forbid_waiting():
            hook(*args, **kwargs)

    return guarded


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_rates_move_and_no_step_waits(precision: Any, device: torch.device, tmp_path: Path) -> None:
    control, monitor, memory = AdaptiveDropout(), DropoutRateMonitor(), Memory()
    for callback in (control, monitor):
        for name in EACH_STEP:
            setattr(callback, name, without_waiting(getattr(callback, name)))
    x, y = torch.randn(192, 32), torch.randint(0, 4, (192,))
    train, val = (DataLoader(TensorDataset(x[rows], y[rows]), 32) for rows in (slice(128), slice(128, 192)))
    trainer = L.Trainer(
        max_epochs=25, accelerator="gpu" if device.type == "cuda" else "cpu", devices=1, precision=precision,
        callbacks=[control, monitor], logger=memory, default_root_dir=tmp_path, log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    model = Noisy()
    trainer.fit(model, train, val)
    assert control.state is not None
    assert set(control.start.values()) == {0.1}
    assert ad.get_rates(model) == pytest.approx(control.state.rates)
    rates = {value for name in memory_names(memory) for _, value in memory.series(name)}
    assert len(rates) > 1, "no rate moved"


def memory_names(memory: Memory) -> set[str]:
    """The names under which rates were logged."""
    return {name for _, row in memory.rows for name in row if name.startswith("dropout/")}
