"""Where a run keeps its files."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as L
from lightning.pytorch.callbacks import ModelCheckpoint

__all__ = ["best_checkpoint", "run_dir"]


def run_dir(trainer: L.Trainer) -> Path:
    """Return the folder that holds the run's checkpoints; its configuration and figure go there too."""
    checkpoint = trainer.checkpoint_callback
    if isinstance(checkpoint, ModelCheckpoint) and checkpoint.dirpath:
        return Path(checkpoint.dirpath).parent
    return Path(trainer.log_dir or trainer.default_root_dir)


def best_checkpoint(trainer: L.Trainer) -> Path | None:
    """Return the best checkpoint of the run, or None where none was kept."""
    checkpoint = trainer.checkpoint_callback
    path = checkpoint.best_model_path if isinstance(checkpoint, ModelCheckpoint) else ""
    return Path(path) if path else None
