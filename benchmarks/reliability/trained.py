"""A small training whose best weights can be told from its record: the validation loss is a function of the weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.tracking import Run

__all__ = ["Net", "loss_of", "train", "wrong"]


class Net(L.LightningModule):
    """A bias that overshoots its best after six epochs, so that validation gets worse again."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), ad.Dropout(0.2), nn.Linear(8, 1))
        nn.init.zeros_(self.net[2].bias)

    def training_step(self, batch: tuple[Tensor], batch_idx: int) -> Tensor:
        """The loss falls without end."""
        return self.net(batch[0]).mean()

    def validation_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        """A function of the weights alone."""
        self.log("val_loss", loss_of(self.net.state_dict()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """With moments, which a rewind restores."""
        return torch.optim.Adam(self.parameters(), lr=0.02)


def loss_of(weights: dict[str, Tensor]) -> float:
    """The validation loss of ``weights``: the distance of one of them from 0.5."""
    return abs(float(weights["2.bias"]) + 0.5)


def train(folder: Path, callbacks: Sequence[L.Callback] = (), epochs: int = 12, **settings: Any) -> AdaptiveDropout:
    """Train in ``folder`` and return the control; snapshots are on the disk if ``snapshots`` is given."""
    control = AdaptiveDropout(monitor="val_loss", folder=settings.pop("snapshots", None))
    data = DataLoader(TensorDataset(torch.ones(16, 4)), batch_size=4)
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    settings = quiet | settings
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=epochs, default_root_dir=folder, num_sanity_val_steps=0,
        callbacks=[control, *callbacks], **settings,
    )  # fmt: skip
    model = Net()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        trainer.fit(model, data, data)
    control.weights = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}  # type: ignore[attr-defined]
    return control


def wrong(read: Run, made: Run, best: float | None) -> list[str]:
    """Return what is wrong: decisions lost or doubled in what was ``read``, or ``best`` not the lowest loss made."""
    lost = (
        [] if read.lines() == made.lines() else [f"{len(made.decisions)} decisions, {len(read.decisions)} in the file"]
    )
    lowest = min(decision.signals["val_loss"] for decision in made.decisions)
    if best is not None and abs(best - lowest) > 1e-5:
        lost.append(f"the best weights have the loss {best:.6g}, the lowest was {lowest:.6g}")
    return lost
