"""What a checkpoint of transformers' Trainer holds of ours: JSON in its state, snapshots in a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerState, TrainingArguments

__all__ = ["kept_in", "load_snapshots", "save_snapshots"]

FILE = "dropout_snapshots.pt"


def kept_in(state: TrainerState) -> dict[str, Any]:
    """Return the callbacks' part of ``trainer_state.json``, which the Trainer reads back."""
    kept: Any = state.stateful_callbacks
    return kept  # type: ignore[no-any-return]  # a dictionary once the Trainer has made its state


def save_snapshots(args: TrainingArguments, state: TrainerState, snapshots: dict[str, Any]) -> None:
    """Write ``snapshots`` into the checkpoint of this step."""
    torch.save(snapshots, _file(args, state))


def load_snapshots(args: TrainingArguments, state: TrainerState) -> dict[str, Any]:
    """Return what `save_snapshots` wrote.

    Raises:
        FileNotFoundError: there is none in the output folder.
    """
    file = _file(args, state)
    if not file.exists():
        raise FileNotFoundError(
            f"{file} is missing, which holds the best weights of the run; resume from a checkpoint in output_dir"
        )
    snapshots: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return snapshots


def _file(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(str(args.output_dir), f"checkpoint-{state.global_step}", FILE)
