"""Generators in checkpoints, where Lightning keeps none: a resumed run draws the noise that the unbroken one would.

`GeneratorState` is a part of callbacks that save the generators of one process; `GeneratorCheckpoint` saves all.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import distributed

from adaptive_dropout.callbacks.packages import Callback, callbacks_of

__all__ = ["GeneratorCheckpoint", "GeneratorState"]


class GeneratorState:
    """The global generators of torch, on the CPU and the GPU of this process, of numpy and of Python.

    Its owner, a callback, calls the hooks, named as Lightning's. What a checkpoint held is put back before the loaders
    are made, which may draw the order of an epoch, and once more when training starts, as Lightning draws in between.
    """

    def __init__(self) -> None:
        self._saved: Mapping[str, Any] | None = None
        self._device = torch.device("cpu")
        self._epoch_ended = self._left_to_another = False

    @property
    def waits(self) -> bool:
        """Whether a checkpoint was loaded, and training has not started since."""
        return self._saved is not None

    def on_fit_start(self, trainer: L.Trainer) -> None:
        """Put the generators back, unless a `GeneratorCheckpoint` does so."""
        self._device = trainer.strategy.root_device
        others = (other.state for other in callbacks_of(trainer, GeneratorCheckpoint))
        self._left_to_another = any(other is not self and other.waits for other in others)
        self._restore()

    def on_train_start(self) -> None:
        """Put them back; between two epochs not, as the order of the next one is drawn by now."""
        if self._saved is not None and not self._saved["epoch_ended"]:
            self._restore()
        self._saved = None

    def on_train_epoch_start(self) -> None:
        """Note it for checkpoints that are written in the epoch."""
        self._epoch_ended = False

    def on_train_epoch_end(self) -> None:
        """Note it for checkpoints that are written from now until the next epoch."""
        self._epoch_ended = True

    def on_fit_end(self) -> None:
        """Put them back if the checkpoint left nothing to train."""
        self._restore()
        self._saved = None

    def state_dict(self) -> Mapping[str, Any]:
        """Return all states, in types that ``torch.load(weights_only=True)`` reads."""
        return self._saved or {"states": _read(self._device), "epoch_ended": self._epoch_ended}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken, when the hooks are called."""
        self._saved = state

    def _restore(self) -> None:
        if self._saved is not None and not self._left_to_another:
            _write(self._saved["states"], self._device)


class GeneratorCheckpoint(Callback):
    """Saves the generators of every process and its GPU in checkpoints, for runs whose processes draw different noise.

    `DropoutRateControl` and `DropoutRateScheduler` save those of the first process, and give them to all on resume.
    That is enough for one process, and for several that Lightning seeds alike and that draw alike. It is not where
    processes are seeded apart, or where one has more batches than another.

    All processes write a checkpoint together, as Lightning demands: one that fails alone and saves waits for the others
    before its file is written, where Lightning lets it wait afterwards. A checkpoint of as many processes is needed to
    go on; of another number, one warning says that the noise is new.

    >>> from adaptive_dropout.callbacks import AdaptiveDropout
    >>> callbacks = [AdaptiveDropout(), GeneratorCheckpoint()]
    """

    def __init__(self) -> None:
        self.state = GeneratorState()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the generators back before the loaders are made."""
        self.state.on_fit_start(trainer)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put them back where the epoch goes on."""
        self.state.on_train_start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note that the epoch goes on."""
        self.state.on_train_epoch_start()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note that it ended."""
        self.state.on_train_epoch_end()

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put them back if the checkpoint left nothing to train."""
        self.state.on_fit_end()

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Collect the states of all processes."""
        states: list[Any] = [self.state.state_dict()]
        if trainer.world_size > 1:
            mine, states = states[0], [None] * trainer.world_size
            distributed.all_gather_object(states, mine)
        checkpoint["generators"] = states

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the state of this process."""
        states = checkpoint.get("generators")
        if trainer.state.fn != "fit" or states is None:
            return
        if len(states) == trainer.world_size:
            self.state.load_state_dict(states[trainer.global_rank])
        else:
            rank_zero_warn(
                f"the checkpoint has the generators of {len(states)} processes, and {trainer.world_size} go on: "
                "their noise is new"
            )


def _read(device: torch.device) -> dict[str, Any]:
    kind, words, *rest = np.random.get_state()
    states = {
        "cpu": torch.get_rng_state(),
        "numpy": (kind, torch.from_numpy(np.asarray(words).astype(np.int64)), *rest),
        "python": random.getstate(),
    }
    return states | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def _write(states: Mapping[str, Any], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if "numpy" in states:  # an earlier version kept torch's alone
        kind, words, *rest = states["numpy"]
        np.random.set_state((kind, words.numpy().astype(np.uint32), *rest))
        random.setstate(states["python"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
