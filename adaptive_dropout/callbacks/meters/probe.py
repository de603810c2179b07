"""Measures the clean loss in any LightningModule: its own ``validation_step`` on a fixed part of the training data."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.data import extract_batch_size
from torch import Tensor

from adaptive_dropout.callbacks.meters.base import Meter
from adaptive_dropout.callbacks.meters.pieces import cut
from adaptive_dropout.callbacks.meters.quiet import quiet_validation_loss
from adaptive_dropout.callbacks.run_length import batches_between_validations
from adaptive_dropout.controllers import State
from adaptive_dropout.signals import CleanLoss

__all__ = ["Probe"]

PARTS = 8
SHARE = 0.2  # of the examples between two validations: forward only, that is 7 % of the run's gradient evaluations
MOST = 300  # examples


class Probe(Meter):
    """The signals of `CleanLoss` in a Lightning run, and ``trivial_loss``, the loss before any training.

    The fixed part of the training data is cut from the first batches of the run, as training sees them, in eight pieces
    or a few more.

    Args:
        monitor: as in `Meter`.
    """

    def __init__(self, monitor: str) -> None:
        super().__init__(monitor)
        self.clean = CleanLoss()
        self._trivial_loss: float | None = None
        self._parts: list[Any] = []
        self._val_losses: list[Tensor] = []

    def before_batch(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any) -> None:
        """Keep pieces of ``batch``, about to be trained on, until there are enough; measure the loss before all."""
        interval = batches_between_validations(trainer)
        batches = min(PARTS, interval)
        pieces = math.ceil(PARTS / batches)
        measured = self.clean.state_dict()["last"] is not None  # batches of few examples give fewer pieces
        if measured or len(self._parts) >= batches * pieces:
            return
        size = extract_batch_size(batch)
        wanted = min(MOST, SHARE * size * interval) / (batches * pieces)
        each = max(1, min(round(wanted), size // pieces))
        self._parts += [cut(batch, size, i * each, (i + 1) * each) for i in range(min(pieces, size))]
        if self._trivial_loss is None:
            losses = quiet_validation_loss(trainer, pl_module, self.monitor, self._parts)
            self._trivial_loss = sum(losses) / len(losses)

    def listen(self, pl_module: L.LightningModule) -> None:
        """Begin to write down the validation loss of each batch, which goes on to where it is logged."""
        self._val_losses = []
        passed_on = pl_module.log

        def log(name: str, value: Any, *args: Any, **kwargs: Any) -> None:
            if name == self.monitor and isinstance(value, (Tensor, float)):
                self._val_losses.append(torch.as_tensor(value).detach())
            passed_on(name, value, *args, **kwargs)

        pl_module.__dict__["log"] = log

    def stop(self, pl_module: L.LightningModule) -> None:
        """Let the model log as it did before `listen`."""
        pl_module.__dict__.pop("log", None)

    def signals(self, trainer: L.Trainer, pl_module: L.LightningModule, val_loss: float) -> dict[str, float]:
        """Return the signals, measured now."""
        losses = quiet_validation_loss(trainer, pl_module, self.monitor, self._parts)
        measured = self.clean.signals(losses, [float(loss) for loss in self._val_losses] or [val_loss])
        return measured if self._trivial_loss is None else measured | {"trivial_loss": self._trivial_loss}

    def decided(self, state: State) -> None:
        """Compare with the clean losses of the best validation."""
        if state.improved:
            self.clean.mark()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know, the fixed part of the data with it."""
        return {"clean": self.clean.state_dict(), "trivial_loss": self._trivial_loss, "parts": self._parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.clean.load_state_dict(state["clean"])
        self._trivial_loss, self._parts = state["trivial_loss"], state["parts"]
