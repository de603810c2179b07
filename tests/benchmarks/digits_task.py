"""A task that takes a second: scikit-learn's digits and a small network; and rows as if it had been trained."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits

from adaptive_dropout.data.images import LabelledImages
from adaptive_dropout.networks import CNN, MLP, DropoutFactory
from benchmarks.study.cells import Cell
from benchmarks.study.study import Choice
from benchmarks.supervised.image_task import ImageTask, Source
from benchmarks.supervised.training import TrainedRow


def read_digits(folder: Path) -> tuple[LabelledImages, LabelledImages]:
    images, y = load_digits(return_X_y=True)
    x = torch.from_numpy(images * 15).byte().reshape(-1, 1, 8, 8)
    return LabelledImages(x[:1200], y[:1200]), LabelledImages(x[1200:], y[1200:])


def mlp(dropout: DropoutFactory) -> MLP:
    return MLP(64, 10, (64, 64), dropout)


def cnn(dropout: DropoutFactory) -> CNN:
    return CNN(1, 10, 8, (4, 8), 16, dropout)


SOURCE = Source("digits", "digits", (), read_digits, 1200)
DIGITS_MLP = functools.partial(ImageTask, source=SOURCE, build=mlp, n_train=300, n_val=300, n_test=500, batch_size=32)
DIGITS_CNN = functools.partial(ImageTask, source=SOURCE, build=cnn, n_train=300, n_val=300, n_test=500, batch_size=32)


def cell(method: str = "m", seed: int = 1) -> Cell:
    return Cell("s", Choice("digits", "digits", {}), Choice(method, method, {}), seed, "d")


def row(method: Choice, seed: int, losses: tuple[float, ...], test_loss: float = 1.0, task: str = "") -> TrainedRow:
    """A row of a task whose content is ``task``, with ``losses`` at its validations."""
    names = {"key": f"{method.name}{seed}", "study": "s", "task": "digits", "method": method.name, "seed": seed}
    contents = {"task_settings": task, "method_settings": method.content, "data": "d"}
    origin = {"commit": "abc", "versions": "1", "machine": "m", "seconds": 2.0, "n_train": 100}
    tested = {"test_loss": test_loss, "test_accuracy": 0.9, "test_calibration": 0.1, "gap": 0.5, "final_rate": 0.3}
    curves = {"epochs_apart": 0.5, "train_losses": losses, "val_losses": losses, "val_accuracies": losses}
    settings: dict[str, Any] = {**names, **contents, **origin, **tested, **curves}
    return TrainedRow(**settings, val_loss=min(losses))
