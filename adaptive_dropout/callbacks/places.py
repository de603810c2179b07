"""Where a run keeps its files."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as L
from lightning.pytorch.callbacks import ModelCheckpoint

from adaptive_dropout.callbacks.both import both

__all__ = ["best_checkpoint", "run_dir"]


def run_dir(trainer: L.Trainer) -> Path:
    """Return the folder of the run: its first logger's, where Lightning's checkpoints go too, or the trainer's."""
    if not trainer.loggers:
        return Path(trainer.default_root_dir)
    logger = trainer.loggers[0]
    version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
    return Path(logger.save_dir or trainer.default_root_dir, str(logger.name), version)


def best_checkpoint(trainer: L.Trainer) -> Path | None:
    """Return the best checkpoint of the run, or None where none was kept."""
    checkpoint = trainer.checkpoint_callback
    path = checkpoint.best_model_path if isinstance(checkpoint, both(ModelCheckpoint)) else ""
    return Path(path) if path else None
