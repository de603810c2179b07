"""The folder of a cross-validation: its configuration, and a file for each finished run, from which it resumes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from adaptive_dropout.tracking.folders import make_folder

__all__ = ["Trials"]


class Trials:
    """The runs that have been trained under one configuration.

    Args:
        folder: created if it does not exist.
        config: the configuration as YAML, without the settings that may differ between two starts.

    Raises:
        ValueError: the folder holds runs of another configuration.
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = make_folder(folder)
        file = folder / "config.yaml"
        if file.exists() and file.read_text(encoding="utf-8") != config:
            raise ValueError(f"{str(folder)!r} holds runs of another configuration; give another folder as --output")
        _write(file, config)

    def get(self, p: float, fold: int) -> float | None:
        """Return the validation loss of a run; None if it has not been trained.

        Raises:
            ValueError: the file of the run holds something else.
        """
        file = self._file(p, fold)
        if not file.exists():
            return None
        try:
            return float(json.loads(file.read_text())["val_loss"])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise ValueError(f"{file} holds no validation loss; delete it to train that run anew") from None

    def put(self, p: float, fold: int, val_loss: float) -> None:
        """Store the validation loss of a run."""
        _write(self._file(p, fold), json.dumps({"p": p, "fold": fold, "val_loss": val_loss}) + "\n")

    def _file(self, p: float, fold: int) -> Path:
        return self.folder / f"p-{p!r}-fold-{fold}.json"


def _write(file: Path, text: str) -> None:
    # Replaced in one step: a process that is killed leaves the whole file or none.
    unfinished = file.with_suffix(".part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
