"""`AdaptiveDropout` in a Lightning run on a device: it moves the rates, and no step of training waits for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout, DropoutRateMonitor
from adaptive_dropout.tracking.names import rate_keys
from tests.callbacks.toy import Memory
from tests.gpu.waiting import forbid_waiting

EACH_STEP = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
             "on_before_optimizer_step", "on_train_batch_end")  # fmt: skip


class Digits(L.LightningModule):
    """Learns 64 handwritten digits, so that validation falls behind training."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 10))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self.model(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def without_waiting(hook: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(hook)
    def guarded(*args: Any, **kwargs: Any) -> None:
        with forbid_waiting():
            hook(*args, **kwargs)

    return guarded


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_rates_move_and_no_step_waits(precision: Any, device: torch.device, tmp_path: Path) -> None:
    control, monitor, memory = AdaptiveDropout(), DropoutRateMonitor(), Memory()
    for callback in (control, monitor):
        for name in EACH_STEP:
            setattr(callback, name, without_waiting(getattr(callback, name)))
    images, labels = (torch.tensor(part[:128]) for part in load_digits(return_X_y=True))
    examples = TensorDataset(images.float() / 16, labels)
    train, val = (DataLoader(Subset(examples, rows), 32) for rows in (range(64), range(64, 128)))
    trainer = L.Trainer(
        max_epochs=25, accelerator="gpu" if device.type == "cuda" else "cpu", devices=1, precision=precision,
        callbacks=[control, monitor], logger=memory, default_root_dir=tmp_path, log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    model = Digits()
    trainer.fit(model, train, val)
    assert control.state is not None
    assert set(control.start.values()) == {0.1}
    assert ad.get_rates(model) == pytest.approx(control.state.rates)
    (key,) = rate_keys(control.start).values()
    assert len({p for _, p in memory.series(key)}) > 1, "the rate did not move"
