"""Carries out what a controller asks for beside rates: keep the best weights, go back to them, or start again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from adaptive_dropout.controllers import State
from adaptive_dropout.snapshot import Snapshot

__all__ = ["Rewinder"]


class Rewinder:
    """The best and the initial weights, buffers and optimizer state of one run.

    Args:
        folder: where they are kept for large models; in memory for None.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self.best: Snapshot | None = None
        self.initial: Snapshot | None = None
        self._saved: dict[str, Any] | None = None

    def start(self, model: nn.Module, optimizers: Sequence[Optimizer]) -> None:
        """Take the initial weights, or go on with what a checkpoint held."""
        self.best, self.initial = (self._snapshot(name, model, optimizers) for name in ("best", "initial"))
        if self._saved is None:
            self.initial.take()
            return
        for name, snapshot in (("best", self.best), ("initial", self.initial)):
            if self._saved[name] is not None:
                snapshot.load_state_dict(self._saved[name])
        self._saved = None

    def carry_out(self, state: State) -> None:
        """Do what ``state`` says."""
        assert self.best is not None
        assert self.initial is not None
        if state.improved:
            self.best.take()
        if state.rewind:
            self.best.restore()
        if state.restart:
            self.initial.restore()

    def state_dict(self) -> dict[str, Any]:
        """Return both snapshots, so that a resumed run can rewind as the unbroken one would."""
        named = {"best": self.best, "initial": self.initial}
        return {name: s.state_dict() if s is not None and s.taken else None for name, s in named.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep what `state_dict` returned until `start`."""
        self._saved = state

    def _snapshot(self, name: str, model: nn.Module, optimizers: Sequence[Optimizer]) -> Snapshot:
        return Snapshot(model, *optimizers, folder=None if self.folder is None else self.folder / name)
