"""Sparse variational dropout on MNIST: ``python -m benchmarks.learned.sparse --data-dir DIR``.

It trains on all 60 000 images, with pixels in [0, 1] and nothing else done to them, and reports the test accuracy of
the last epoch. One row goes to ``sparse.csv``; ``sparse.md`` is written anew from all rows.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

import adaptive_dropout as ad
from adaptive_dropout.functional import molchanov_kl
from benchmarks.learned.runs import Images, add_options, measure_accuracy, read_images
from benchmarks.report.markdown import table
from benchmarks.study.place import here
from benchmarks.study.rows import append, read

__all__ = ["RECIPES", "RESULTS", "Recipe", "Row", "main", "network", "train", "write_lines"]

RESULTS = Path(__file__).with_name("sparse.csv")
PUBLISHED = {
    "784-300-10": ("a PyTorch implementation of the authors'", 0.984, 35.6),
    "784-300-100-10": ("Molchanov et al. (2017), table 1, LeNet-300-100", 0.9808, 68.0),
}
INTRODUCTION = """Written by `python -m benchmarks.learned.sparse`. A network of sparse layers learns MNIST from random
weights on all 60 000 training images. The test accuracy is that after the last epoch, with dropped weights at 0;
compression is how many times fewer weights are kept than there are, biases not counted. Of the recipes, "published" is
that of the implementation whose numbers stand first; the others are ours. All but "linear" were chosen after a look at
the test accuracy of those before them."""


@dataclass(frozen=True)
class Row:
    """One training run.

    Args:
        started: UTC.
        commit: of this repository; a plus means that files differed from it.
        machine: its processor, cores, and load at the start.
        versions: of Python and torch.
        threads: of torch.
        network: its widths, as in 784-300-10.
        recipe: its name in `RECIPES`.
        seed: of initial weights, order and noise.
        epochs: passes over the 60 000 training images.
        seconds: from the first epoch to the last, with the test after each.
        accuracy: on the 10 000 test images after the last epoch, in [0, 1].
        compression: weights over those that are kept.
        kept: weights that are kept.
    """

    started: str
    commit: str
    machine: str
    versions: str
    threads: int
    network: str
    recipe: str
    seed: int
    epochs: int
    seconds: float
    accuracy: float
    compression: float
    kept: int


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Args:
        warm_up: the part of the training in which the factor of the divergence grows from 0 to 1.
        lr_factor: the factor of the learning rates when a part of the training, in [0, 1], is over.
        batch: images in a step.
        rate_lr: learning rate of ln sigma^2.
        lr: of the weights.
    """

    warm_up: float
    lr_factor: Callable[[float], float]
    batch: int
    rate_lr: float
    lr: float = 1e-3

    def factor(self, done: float) -> float:
        """Return the factor of the divergence when ``done``, in [0, 1], of the training is over."""
        return min(1.0, done / self.warm_up)


def stairs(first: float, done: float) -> float:
    """Fall to a fifth when ``first`` of the training is over, and three times more, a tenth of it apart."""
    return 0.2 ** sum(done >= first + later for later in (0.0, 0.1, 0.2, 0.3))


def slope(done: float) -> float:
    """Stay for the first half, then fall to 0."""
    return min(1.0, 2 * (1 - done))


RECIPES = {
    "published": Recipe(0.5, functools.partial(stairs, 0.5), batch=100, rate_lr=2e-3),  # 1e-3 for ln sigma
    "published, later falls": Recipe(0.5, functools.partial(stairs, 0.6), batch=100, rate_lr=2e-3),
    "linear": Recipe(0.2, slope, batch=200, rate_lr=1e-2),
    "published, then linear": Recipe(0.5, slope, batch=100, rate_lr=2e-3),
}


def network(hidden: Sequence[int]) -> nn.Sequential:
    """Return sparse layers with ReLU between them, 784 - ``hidden`` - 10; their divergence is the published one."""
    layers: list[nn.Module] = []
    for before, after in zip([784, *hidden], hidden, strict=False):
        layers += [ad.SparseLinear(before, after), nn.ReLU()]
    model = nn.Sequential(nn.Flatten(), *layers, ad.SparseLinear(hidden[-1], 10))
    for layer in model[1::2]:
        layer.divergence = molchanov_kl  # as published, and a quarter of the time of the exact one
    return model


def train(model: nn.Module, images: Images, test: Images, recipe: Recipe, epochs: int) -> float:
    """Train ``model``, say on stderr after each epoch how it stands, and return the test accuracy at the end."""
    x, y = images
    optimizer = torch.optim.Adam(ad.rate_param_groups(model, recipe.lr, recipe.rate_lr), fused=True)
    steps = -(-len(y) // recipe.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: recipe.lr_factor(n / (steps * epochs)))
    for epoch in range(epochs):
        model.train()
        for step, part in enumerate(torch.randperm(len(y)).split(recipe.batch)):
            factor = recipe.factor((epoch + step / steps) / epochs)
            loss = F.cross_entropy(model(x[part]), y[part]) + factor * ad.penalty(model, len(y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        right, times = measure_accuracy(model, test), ad.sparsity(model).compression
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, {right:.2%}, {times:.1f}x", file=sys.stderr, flush=True)
    return measure_accuracy(model, test)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one network for each seed, append a row for each, and write the table."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    place = here()
    for seed in options.seeds:
        torch.manual_seed(seed)
        images, test = read_images(options.data_dir)
        model, begun = network(options.hidden), time.perf_counter()
        right = train(model, images, test, RECIPES[options.recipe], options.epochs)
        seconds = time.perf_counter() - begun
        found = ad.sparsity(model)
        Console().print(_to_table(found))
        name = "-".join(map(str, [784, *options.hidden, 10]))
        run = (name, options.recipe, seed, options.epochs, seconds, right, found.compression, found.kept)
        append(options.out, Row(place.started, place.commit, place.machine, place.versions, place.threads, *run))
    options.out.with_suffix(".md").write_text("\n".join(write_lines(read(options.out, Row))) + "\n")


def write_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table: published values first, then our runs, for each network."""
    yield from ("# Sparse variational dropout on MNIST", "", *INTRODUCTION.splitlines(), "")
    body = []
    for network in dict.fromkeys(row.network for row in rows):
        if network in PUBLISHED:
            source, accuracy, compression = PUBLISHED[network]
            body.append([network, source, f"{accuracy:.2%}", f"{compression:.1f}x", "", ""])
        for row in rows:
            if row.network == network:
                source, minutes = f"**ours**, {row.recipe}, seed {row.seed}", f"{row.seconds / 60:.1f}"
                found = [f"{row.accuracy:.2%}", f"{row.compression:.1f}x", str(row.epochs), minutes]
                body.append([network, source, *found])
    yield from table(("network", "whose", "test accuracy", "compression", "epochs", "minutes"), body)
    yield from ("", "Measured on:", "")
    for row in dict.fromkeys((row.machine, row.versions, row.threads, row.commit) for row in rows):
        machine, versions, threads, commit = row
        yield f"- {machine}; {versions}; threads: {threads}; commit {commit}"


def _to_table(found: ad.Sparsity) -> Table:
    head, *rows = found.cells()
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned.sparse", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder that holds MNIST/raw, unpacked")
    parser.add_argument("--hidden", type=int, nargs="+", default=[300], help="300 100 for LeNet-300-100")
    parser.add_argument("--recipe", choices=list(RECIPES), default="published")
    parser.add_argument("--epochs", type=int, default=100)
    return add_options(parser, [0], RESULTS)


if __name__ == "__main__":
    main()
