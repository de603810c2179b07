"""The weights that a rule keeps and goes back to: the best ones, and those that training began with.

A restore waits until training goes on. Checkpoints written after a validation therefore hold the weights that it
measured, whichever metric they are chosen by; they hold the waiting restore too.
"""

from __future__ import annotations

import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import distributed, nn
from torch.optim import Optimizer

from adaptive_dropout.controllers import State
from adaptive_dropout.steering.snapshot import Snapshot
from adaptive_dropout.tracking.folders import make_folder

__all__ = ["Rewinder"]

COPIES = 3  # on the disk: the initial weights, the best ones, and the next best ones until they are complete


class Rewinder:
    """Keeps the best and the initial weights, buffers and optimizer state of one run, and restores them.

    It takes the initial ones when it is made. A file that cannot be written or read later, because the disk is full or
    the folder is gone, is one warning, and training goes on with the weights that there are; of several processes it
    stops all.

    Args:
        model: the module to rewind.
        optimizers: the optimizers that train it.
        folder: keep the snapshots in files there, for large models; None keeps them in memory.
        warn: is called with one line where a file fails.

    Raises:
        OSError: the folder cannot be written to, or the disk has too little room.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        folder: str | Path | None = None,
        warn: Callable[[str], object] = warnings.warn,
    ) -> None:
        if folder is not None:
            _check_space(Path(folder), model)
        self._on_disk = folder is not None
        self._optimizers = optimizers
        self._snapshots = {
            name: Snapshot(model, *optimizers, folder=None if folder is None else Path(folder) / name)
            for name in ("best", "initial")
        }
        self._warn = warn
        self._failed: set[str] = set()
        self._waiting: str | None = None
        self._snapshots["initial"].take()

    @property
    def waits(self) -> bool:
        """Whether weights wait to be restored."""
        return self._waiting is not None

    @property
    def has_best(self) -> bool:
        """Whether there are best weights to go back to."""
        return self._snapshots["best"].taken

    def follow(self, state: State) -> None:
        """Keep the weights if ``state`` says that they are the best; note the restore that it asks for."""
        if state.improved:
            with self._warning("the best weights are not kept"):
                self._snapshots["best"].take()
        self._waiting = "best" if state.rewind else "initial" if state.restart else None

    def restore(self) -> None:
        """Restore the weights that wait, and drop the gradients that were computed with the present ones."""
        if self._waiting is None:
            return
        with self._warning(f"the {self._waiting} weights are not restored"):
            self._snapshots[self._waiting].restore()
            for optimizer in self._optimizers:
                optimizer.zero_grad()
        self._waiting = None

    def finish(self) -> None:
        """Leave the best weights in the model, if there are any."""
        if self.has_best:
            self._waiting = "best"
        self.restore()

    def state_dict(self) -> dict[str, Any]:
        """Return both snapshots and the waiting restore, so that a resumed run rewinds as the unbroken one would."""
        state: dict[str, Any] = {"due": self._waiting}
        for name, snapshot in self._snapshots.items():
            state[name] = {}
            with self._warning(f"a checkpoint lacks the {name} weights"):
                state[name] = snapshot.state_dict()
        return state

    def load_state_dict(self, state: Any) -> None:
        """Go on from where `state_dict` was taken.

        Raises:
            ValueError: ``state`` is not what `state_dict` returns, or is of other parameters.
        """
        names = [*self._snapshots]
        if not isinstance(state, dict) or state.keys() != {"due", *names} or state["due"] not in [None, *names]:
            raise ValueError(f"the snapshots of a control are {['due', *names]}, but these are others")
        self._waiting = state["due"]
        for name, snapshot in self._snapshots.items():
            snapshot.load_state_dict(state[name])

    @contextmanager
    def _warning(self, lost: str) -> Iterator[None]:
        """Turn the failure of a file into a warning, once for each loss; a snapshot in memory cannot fail so."""
        try:
            yield
        except (OSError, RuntimeError, pickle.UnpicklingError) as error:
            # Processes of one model have to go back together, or not at all.
            if not self._on_disk or _is_distributed():
                raise
            if lost not in self._failed:
                self._failed.add(lost)
                why = str(error).partition("\n")[0]
                self._warn(f"{lost} ({why}); training goes on without them")


def _is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _check_space(folder: Path, model: nn.Module) -> None:
    """Make ``folder``, and raise where it cannot hold three copies of ``model``.

    Training would otherwise fail at its best validation. The size of the optimizers' state is not known yet.

    Raises:
        OSError: the disk has less room, or the folder cannot be made.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise OSError(f"no snapshots can be kept: {error}") from error
    needed = COPIES * sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"snapshots need {needed / 1e6:.3g} MB and the optimizer's state, but {str(folder)!r} has "
            f"{free / 1e6:.3g} MB left; free some, or choose another folder"
        )
