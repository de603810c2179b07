"""Carries out what a controller asks for beside rates: keep the best weights, go back to them, or start again.

What is to be restored waits until training goes on. The checkpoints written after a validation so hold the weights that
it measured, whichever metric they are chosen by, and what waits is stored in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from adaptive_dropout.callbacks.disk import check_space
from adaptive_dropout.controllers import State
from adaptive_dropout.snapshot import Snapshot

__all__ = ["Rewinder"]


class Rewinder:
    """The best and the initial weights, averages of them, buffers and optimizer state of one run.

    Args:
        folder: where they are kept for large models; in memory for None.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._optimizers: Sequence[Optimizer] = ()
        self._snapshots: dict[str, Snapshot] = {}
        self._due: str | None = None
        self._saved: dict[str, Any] | None = None

    @property
    def can_rewind(self) -> bool:
        """Whether there are best weights to go back to."""
        return "best" in self._snapshots and self._snapshots["best"].taken

    def start(self, model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
        """Take the initial weights, or go on with what a checkpoint held.

        Args:
            model: what is rewound, averages of its weights with it.
            optimizers: those that train it.

        Raises:
            OSError: the folder cannot be written to, or the disk has no room.
        """
        self._optimizers = optimizers
        if self._folder is not None:
            check_space(self._folder, model)
        self._snapshots = {name: self._snapshot(name, model) for name in ("best", "initial")}
        if not self._saved:
            self._snapshots["initial"].take()
            return
        self._due = self._saved["due"]
        for name, snapshot in self._snapshots.items():
            snapshot.load_state_dict(self._saved[name])
        self._saved = None

    def carry_out(self, state: State) -> None:
        """Keep the weights if ``state`` says so; what it says to restore waits for `settle`."""
        if state.improved:
            self._snapshots["best"].take()
        self._due = "best" if state.rewind else "initial" if state.restart else None

    def settle(self) -> None:
        """Restore what waits, and drop the gradients of batches seen by the weights that go."""
        if self._due is None:
            return
        self._snapshots[self._due].restore()
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        self._due = None

    def finish(self) -> None:
        """Leave the best weights in the model, if there are any."""
        if self.can_rewind:
            self._due = "best"
        self.settle()

    def state_dict(self) -> dict[str, Any]:
        """Return both snapshots and what waits, so that a resumed run can rewind as the unbroken one would."""
        if not self._snapshots:
            return {}
        return {"due": self._due} | {name: snapshot.state_dict() for name, snapshot in self._snapshots.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep what `state_dict` returned until `start`."""
        self._saved = state

    def _snapshot(self, name: str, model: nn.Module) -> Snapshot:
        return Snapshot(model, *self._optimizers, folder=None if self._folder is None else self._folder / name)
