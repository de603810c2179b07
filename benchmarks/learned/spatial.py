"""Spatial concrete dropout on MNIST: ``python -m benchmarks.learned.spatial --data-dir DIR``, an hour on one core.

Two 3x3 convolutions of 32 and 64 channels, pooling, and dense layers of 128 and 10, each with concrete dropout of its
input, by channels where it is convolutional. Trained on all 60 000 images, pixels in [0, 1] and nothing else done to
them, with the rates learning as fast as the weights, as in the authors' code; the accuracy is that of the last epoch
with dropout off.

Source: Gal, Hron and Kendall (2017), section 4.3; the network is that of Keras's example.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import adaptive_dropout as ad
from benchmarks.learned.runs import Images, Row, add_options, measure_accuracy, read_images
from benchmarks.report.markdown import table
from benchmarks.study.place import here
from benchmarks.study.rows import append, read

__all__ = ["RESULTS", "main", "network", "train", "write_lines"]

RESULTS = Path(__file__).with_name("spatial.csv")
BATCH = 128
PUBLISHED = (0.9892, (0.0121, 0.0386, 0.4776, 0.0550))
TARGET = 0.989


def network(size: int = 28) -> nn.Sequential:
    """Return the convnet 32-64-128: (batch, 1, size, size) -> logits (batch, 10)."""
    wrap = ad.ConcreteDropout.wrap
    return nn.Sequential(
        wrap(nn.Conv2d(1, 32, kernel_size=3)),
        nn.ReLU(),
        wrap(nn.Conv2d(32, 64, kernel_size=3)),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        wrap(nn.Linear(64 * ((size - 4) // 2) ** 2, 128)),
        nn.ReLU(),
        wrap(nn.Linear(128, 10)),
    )


def train(model: nn.Module, images: Images, epochs: int, lr: float = 1e-3) -> int:
    """Train by Adam on cross-entropy and the penalty, say on stderr how the rates stand, and return the steps."""
    x, y = images
    optimizer, steps = torch.optim.Adam(ad.rate_param_groups(model, lr=lr, rate_lr=lr), fused=True), 0
    for epoch in range(epochs):
        model.train()
        for part in torch.randperm(len(y)).split(BATCH):
            loss = F.cross_entropy(model(x[part]), y[part]) + ad.penalty(model, len(y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
        shown = " ".join(f"{p:.4f}" for p in ad.get_rates(model).values())
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, p {shown}", file=sys.stderr, flush=True)
    return steps


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one network for each seed, append a row for each, and write the table."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    place = here()
    for seed in options.seeds:
        images, test = read_images(options.data_dir)
        torch.manual_seed(seed)
        model, begun = network(), time.perf_counter()
        steps = train(model, images, options.epochs)
        seconds = time.perf_counter() - begun
        rates = tuple(ad.get_rates(model).values())
        run = (f"{options.epochs} epochs", len(images[1]), seed, steps, measure_accuracy(model, test), rates, seconds)
        append(options.out, Row(*vars(place).values(), *run))
    options.out.with_suffix(".md").write_text("\n".join(write_lines(read(options.out, Row))) + "\n")


def write_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table, the runs below the target first."""
    place = rows[-1]
    yield "# Spatial concrete dropout on MNIST"
    yield ""
    yield (
        f"Convnet 32-64-128, length scale 1e-4; test accuracy of the last epoch, at least {TARGET} wanted. "
        f"{place.machine}; {place.versions}; last commit {place.commit}, {place.started}."
    )
    yield ""
    header = ("run", "accuracy", "p of conv 32", "conv 64", "dense 128", "dense 10", "minutes")
    lines = []
    for row in sorted(rows, key=lambda row: (row.score >= TARGET, row.score)):
        accuracy = f"{row.score:.4f}" if row.score >= TARGET else f"**{row.score:.4f}**"
        lines.append([f"{row.variant}, seed {row.seed}", accuracy, *map(_show, row.rates), f"{row.seconds / 60:.0f}"])
    yield from table(header, [*lines, ["published", *map(_show, (PUBLISHED[0], *PUBLISHED[1])), ""]])


def _show(number: float) -> str:
    return f"{number:.4f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned.spatial", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder that holds MNIST/raw, unpacked")
    parser.add_argument("--epochs", type=int, default=12)
    return add_options(parser, [0], RESULTS)


if __name__ == "__main__":
    main()
