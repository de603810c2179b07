"""The row of a network with concrete dropout, and the images that networks here are trained on."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from adaptive_dropout.data import MNIST
from benchmarks.study.place import Place

__all__ = ["Images", "Row", "add_options", "measure_accuracy", "read_images"]

Images = tuple[Tensor, Tensor]
"""Pixels in [0, 1], (n, 1, 28, 28), and labels, (n,)."""


@dataclass(frozen=True)
class Row(Place):
    """A training run.

    Args:
        variant: the name of the recipe.
        n: training examples.
        seed: of data, initial weights, order and noise.
        steps: of the optimizer.
        score: RMSE of the mean of 20 samples, or accuracy with dropout off, on the test data.
        rates: p of each layer at the end.
        seconds: from the first step to the last.
    """

    variant: str
    n: int
    seed: int
    steps: int
    score: float
    rates: tuple[float, ...]
    seconds: float


def read_images(folder: Path) -> tuple[Images, Images]:
    """Return all 60 000 images that train, and the 10 000 that test."""
    data = MNIST(folder)
    data.setup()
    parts = [(data.train_set, data.val_set), (data.test_set,)]
    images, test = (
        (torch.cat([part.x for part in sets]).view(-1, 1, 28, 28) / 255.0, torch.cat([part.y for part in sets]))
        for sets in parts
    )
    return images, test


def add_options(parser: ArgumentParser, seeds: list[int], out: Path) -> ArgumentParser:
    """Add to ``parser`` the options that all networks here have."""
    parser.add_argument("--seeds", type=int, nargs="*", default=seeds, help="a network each; none only writes the page")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=out)
    return parser


@torch.no_grad()
def measure_accuracy(model: nn.Module, test: Images) -> float:
    """Return the part of the test images that ``model`` classifies correctly in eval mode."""
    model.eval()
    right = [(model(x).argmax(1) == y).float() for x, y in zip(test[0].split(500), test[1].split(500), strict=True)]
    return torch.cat(right).mean().item()
