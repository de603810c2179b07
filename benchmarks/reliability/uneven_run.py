"""One process of a run whose processes have unequal data; the loss of an example to validate on is its value."""

from __future__ import annotations

import json
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

import adaptive_dropout as ad
from adaptive_dropout.callbacks import AdaptiveDropout
from adaptive_dropout.networks import MLP
from benchmarks.reliability.uneven import EPOCHS

__all__ = ["run"]

RULES: dict[str, ad.Controller] = {
    "restart": ad.RestartController(),
    "rewind": ad.RewindController(),
    "plateau": ad.PlateauController(patience=1),
    "gap": ad.GapController(low=-9.0, high=-8.0, change=0.05),
}


class Given(IterableDataset[Tensor]):
    """Gives tensors, without saying how many there are."""

    def __init__(self, given: list[Tensor]) -> None:
        self.given = given

    def __iter__(self) -> Any:
        return iter(self.given)


class Module(L.LightningModule):
    """Keeps the rates of each step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = MLP(4, 1, (16,), lambda: ad.Dropout(0.3))
        self.rates: list[dict[str, float]] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Return the mean square of what the network says."""
        self.rates.append(ad.get_rates(self))
        loss: Tensor = self.network(batch).square().mean()
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Log the mean of the values in the batch."""
        self.log("val_loss", batch[:, 0].mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return plain gradient descent."""
        return torch.optim.SGD(self.parameters(), 0.01)


def run(folder: Path, rank: int, plan: dict[str, Any], limit: float) -> None:
    """Train as ``rank`` by the ``plan``, and write down the rates of each step and what decisions were given."""
    torch.set_num_threads(1)
    heard: list[str] = []
    warnings.showwarning = lambda message, *_, **__: heard.append(str(message))
    draws = torch.Generator().manual_seed(rank)
    batches = [torch.randn(size, 4, generator=draws) for size in plan["train"][rank]]
    values = [torch.tensor([value, 0.0, 0.0, 0.0]) for value in plan["val"][rank]]
    control, module = AdaptiveDropout(RULES[plan["rule"]]), Module()
    trainer = L.Trainer(
        strategy=DDPStrategy(process_group_backend="gloo", timeout=timedelta(seconds=limit)), accelerator="cpu",
        devices=2, max_epochs=EPOCHS, limit_train_batches=len(batches), default_root_dir=folder, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0,
        callbacks=[control],
    )  # fmt: skip
    trainer.fit(module, DataLoader(Given(batches), batch_size=None), DataLoader(Given(values), batch_size=8))
    assert control.run is not None
    seen = {
        "rates": module.rates,
        "val_losses": [decision.signals["val_loss"] for decision in control.run.decisions],
        "warnings": sum("no decision" in line for line in heard),
    }
    (folder / f"rank{rank}.json").write_text(json.dumps(seen))
