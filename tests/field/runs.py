"""Whole runs with the default `AdaptiveDropout()`, and a spy that measures the true loss of all training data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from adaptive_dropout.callbacks import AdaptiveDropout

SIGMAS = 5
EPOCHS = 7


class Spy(L.Callback):
    """At each validation: the loss of every batch of training data, dropout off, by the module's own ``loss``."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches
        self.losses: list[list[float]] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        assert not pl_module.training
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(len(self.losses))
            self.losses.append([float(pl_module.loss(batch)) for batch in self.batches])


def run(
    folder: Path, module: L.LightningModule, train: Any, val: Any, *others: L.Callback, **settings: Any
) -> AdaptiveDropout:
    """Train to the end with the default callback, and check that every batch was trained on."""
    quiet: dict[str, Any] = {
        "max_epochs": EPOCHS, "accelerator": "cpu", "logger": False, "enable_progress_bar": False,
        "num_sanity_val_steps": 0, "enable_model_summary": False, "enable_checkpointing": False,
        "default_root_dir": folder,
    }  # fmt: skip
    ckpt_path, datamodule = settings.pop("ckpt_path", None), settings.pop("datamodule", None)
    own = AdaptiveDropout()
    trainer = L.Trainer(callbacks=[*others, own], **quiet | settings)
    trainer.fit(module, train, val, datamodule=datamodule, ckpt_path=ckpt_path)
    assert trainer.state.finished
    assert trainer.current_epoch == trainer.max_epochs
    return own


def signals_of(own: AdaptiveDropout) -> list[dict[str, float]]:
    assert own.run is not None
    return [decision.signals for decision in own.run.decisions]


def check_clean_loss(own: AdaptiveDropout, spy: Spy, drawn: bool = False) -> None:
    """Check each measured clean loss against the true one, within five standard errors.

    It is a mean over at least two batches, and never over more than there are; where the loss itself draws random
    numbers (``drawn``) the true one has an error of its own.
    """
    measured = signals_of(own)
    assert len(measured) == len(spy.losses)
    known = [(signals["clean_loss"], losses) for signals, losses in zip(measured, spy.losses, strict=True)
             if "clean_loss" in signals]  # fmt: skip
    assert len(known) >= len(measured) - 1
    for clean, losses in known:
        true, spread = moments(losses)
        error = spread * math.sqrt(1 / 2 + drawn / len(losses))
        assert abs(clean - true) <= SIGMAS * error + 1e-5 * abs(true), f"{clean} measured, {true} +- {error} is true"


def check_sane(own: AdaptiveDropout, rates: tuple[float, float] = (0.0, 0.95)) -> None:
    """Check that the rates stay in a range, that every number is finite, and that no decision was left out."""
    assert own.run is not None
    for decision in own.run.decisions:
        assert all(rates[0] <= p <= rates[1] for p in decision.after.values())
        assert all(math.isfinite(value) for value in decision.signals.values())
        assert not decision.reason.startswith("no decision")


def moments(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1))


def in_batches(data: Any, size: int) -> list[list[Tensor]]:
    """Return all of a TensorDataset in batches of ``size``."""
    return [list(data[i : i + size]) for i in range(0, len(data), size)]
