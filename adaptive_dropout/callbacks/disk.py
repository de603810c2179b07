"""Room on the disk for snapshots, looked at before training: a run that ends at its best validation has lost it."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import nn

__all__ = ["check_space"]

COPIES = 3  # the initial weights, the best ones, and the next best ones until they are complete


def check_space(folder: Path, model: nn.Module) -> None:
    """Make ``folder`` and raise where it cannot hold three copies of ``model``; what optimizers add is not known yet.

    Raises:
        OSError: there is less room, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"no folder for snapshots at {str(folder)!r} ({error}); choose another") from error
    needed = COPIES * sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"snapshots need {needed / 1e6:.3g} MB and the optimizer's state, but {str(folder)!r} has "
            f"{free / 1e6:.3g} MB left; free some, or choose another folder"
        )
